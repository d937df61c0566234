import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EngineSpec } from './engine.ts';
import { boundMs, floorMs, makespanMs, type Cascade, type Known } from './simulation.ts';

const SPEC: EngineSpec = {
  stepMs: 10,
  decodeMs: 1,
  prefillMs: 0.1,
  maxBatch: 2,
  stepTokens: 100,
  blockTokens: 10,
  cacheBlocks: 0,
};
const CASCADE: Cascade = { drafter: SPEC, expert: { ...SPEC, stepMs: 40 } };

const known = (draftTokens: number, expertTokens: number | null): Known => ({
  draft: { promptTokens: 10, blocks: [], outputTokens: draftTokens },
  expert: expertTokens === null ? null : { promptTokens: 10, blocks: [], outputTokens: expertTokens },
});

test('an escalated draft is with the expert the moment that it ends', () => {
  // Draft: 11. Expert: 41, then a step of 41.
  assert.equal(makespanMs(CASCADE, [known(1, 2)], [0]), 93);
  // Two drafts a step: the second pair's escalation comes at 24, when the expert has been busy since 12.
  const documents = [known(1, 1), known(1, null), known(1, 1)];
  assert.equal(makespanMs(CASCADE, documents, [0, 1, 2]), 12 + 41 + 41);
  assert.equal(makespanMs(CASCADE, documents, [0, 2, 1]), 12 + 42);
});

test('the bound drafts first what the expert will get, as it knows', () => {
  const documents = Array.from({ length: 12 }, (_, at) => known(3, at >= 8 ? 3 : null));
  const given = makespanMs(CASCADE, documents, documents.keys().toArray());
  assert.ok(boundMs(CASCADE, documents, 1) < given * 0.8);
});

test('the bound lies between what no schedule is faster than and the order in which documents came', () => {
  const document = fc
    .record({ draft: fc.integer({ min: 1, max: 20 }), expert: fc.option(fc.integer({ min: 1, max: 20 })) })
    .map(({ draft, expert }) => known(draft, expert));
  fc.assert(
    fc.property(fc.array(document, { minLength: 1, maxLength: 25 }), fc.integer(), (documents, seed) => {
      const bound = boundMs(CASCADE, documents, seed);
      assert.ok(floorMs(CASCADE, documents) <= bound + 1e-6);
      assert.ok(bound <= makespanMs(CASCADE, documents, documents.keys().toArray()));
    }),
    { numRuns: 50 },
  );
});
