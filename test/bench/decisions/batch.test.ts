import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '@spillway/core';
import { bargain } from './bargain.ts';
import { drawBatch, optimumOf, outcomeOf, sampleOf } from './batch.ts';
import { intervalOf } from './judge.ts';
import { rankedBy } from './rows.ts';
import { rulesFor } from './rules.ts';

const row = fc.record({ score: fc.constantFrom(null, 0.1, 0.5, 0.5, 0.7, 0.9), agrees: fc.boolean() });
const drawn = fc.record({
  rows: fc.array(row, { minLength: 1, maxLength: 80 }),
  size: fc.integer({ min: 1, max: 120 }),
  sampled: fc.integer({ min: 0, max: 60 }),
  seed: fc.nat(),
});

test('a batch has its size, each document once where there are enough, and its sample is of it', () => {
  fc.assert(
    fc.property(drawn, ({ rows, size, sampled, seed }) => {
      const batch = drawBatch(rankedBy(rows), { size, sampled }, seededRandom(seed));
      assert.equal(
        batch.count.reduce((sum, count) => sum + count, 0),
        size,
      );
      if (size <= rows.length) assert.ok(batch.count.every((count) => count <= 1));
      const times = new Map<number, number>();
      for (const at of batch.order) times.set(at, (times.get(at) ?? 0) + 1);
      assert.equal(batch.order.length, Math.min(size, sampled));
      for (const [at, count] of times) assert.ok(count <= (batch.count[at] ?? 0));
    }),
  );
});

test('a rule accepts whole ties of a prefix, never more than hindsight would without its sample', () => {
  fc.assert(
    fc.property(drawn, ({ rows, size, sampled, seed }) => {
      const ranked = rankedBy(rows);
      const random = seededRandom(seed);
      const batch = drawBatch(ranked, { size, sampled }, random);
      const cell = { agreement: 0.8, delta: 0.2, size };
      const n = Math.min(size, sampled);
      for (const rule of rulesFor(cell, { n, planned: n })) {
        const { accepted, wrong } = rule.decide(batch, random);
        assert.ok(wrong >= 0 && wrong <= accepted && accepted <= size, rule.name);
      }
      const best = optimumOf(batch, Math.floor(0.2 * size + 1e-9));
      const ends = [...new Set([...ranked.tie, ranked.judged])];
      const all = ends.map((end) => outcomeOf(batch, end, new Int32Array()));
      const most = Math.max(...all.filter(({ wrong }) => wrong <= 0.2 * size + 1e-9).map(({ accepted }) => accepted));
      assert.equal(best, Math.max(0, most));
      assert.equal(sampleOf(batch, n).length, n);
    }),
  );
});

test('a batch in which every draft agrees is accepted but for its sample', () => {
  const rows = Array.from({ length: 1_000 }, (_, at) => ({ score: at / 1_000, agrees: true }));
  const random = seededRandom(3);
  const batch = drawBatch(rankedBy(rows), { size: 900, sampled: 100 }, random);
  const cell = { agreement: 0.95, delta: 0.05, size: 900 };
  const [own] = rulesFor(cell, { n: 100, planned: 100 });
  assert.deepEqual(own?.decide(batch, random), { accepted: 800, wrong: 0 });
  const asked = 900 - bargain(batch, cell, random).accepted;
  assert.ok(asked > 20 && asked < 400, String(asked));
});

test("the intervals are Clopper and Pearson's", () => {
  const near = (found: number, wanted: number): void => assert.ok(Math.abs(found - wanted) < 5e-4, `${found}`);
  // R's binom.test(5, 100) and (0, 50).
  const [low, high] = intervalOf(5, 100);
  near(low, 0.01643);
  near(high, 0.11283);
  assert.equal(intervalOf(0, 50)[0], 0);
  near(intervalOf(0, 50)[1], 0.07112);
  assert.equal(intervalOf(50, 50)[1], 1);
});
