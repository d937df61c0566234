import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyOf, contentsOf, enqueued, MIXES, serve, worksOf, type MixName } from './prefix-mixes.ts';
import { PUBLISHED } from './published.ts';

const SPEC = PUBLISHED['llama-8b-h100'];
const DOCUMENTS = 512;

/** Holds a quarter of a page's texts, or all of them. */
const CACHES = { small: 4_000, large: SPEC.cacheBlocks };

test('the order of a page is worth much where a cache is too small for long texts, and costs nothing elsewhere', () => {
  const ratios = (Object.keys(MIXES) as MixName[]).map((name) => {
    const bodies = contentsOf(name, DOCUMENTS).map(bodyOf);
    const [given, ours] = [bodies.keys().toArray(), enqueued(bodies)];
    if (ours.every((place, at) => place === at)) return { name, small: 1, large: 1 };
    const works = worksOf(bodies, SPEC);
    const ratio = (cacheBlocks: number): number =>
      serve({ ...SPEC, cacheBlocks }, works, ours).ms / serve({ ...SPEC, cacheBlocks }, works, given).ms;
    return { name, small: ratio(CACHES.small), large: ratio(CACHES.large) };
  });
  for (const { name, small, large } of ratios) assert.ok(Math.max(small, large) < 1.01, `${name}: ${small}, ${large}`);
  const [inTurn, random, system] = ratios;
  for (const one of [inTurn, system]) assert.ok((one?.small ?? 1) < 0.35, `${one?.name}: ${one?.small}`);
  assert.ok((random?.small ?? 1) < 0.5, `${random?.name}: ${random?.small}`);
});
