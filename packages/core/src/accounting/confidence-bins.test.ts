import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { confidenceBin, confidencesOf } from './confidence-bins.ts';
import { addCounts, confidenceCounter, NO_COUNTS, readCounts, writeCounts } from './counts.ts';

test('every confidence is in the bin whose edges it lies between, and survives a record', () => {
  const confidence = fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat({ max: 1_000 }).map((one) => one / 1_000),
    fc.constantFrom(0, 1, 0.9, 0.99, 0.999, 1 - 1e-16, 5e-324),
  );
  fc.assert(
    fc.property(fc.array(confidence, { maxLength: 30 }), (all) => {
      let counts = NO_COUNTS;
      for (const one of all) {
        const before = confidencesOf(counts, 'a', 1);
        counts = addCounts(counts, { [confidenceCounter('a', 1, confidenceBin(one))]: 1 });
        const grown = confidencesOf(counts, 'a', 1).find(
          ({ from, drafts }) => (before.find((bin) => bin.from === from)?.drafts ?? 0) < drafts,
        );
        assert.ok(grown !== undefined && grown.from <= one && (one < grown.to || grown.to === 1), `${one}`);
      }
      assert.equal(
        confidencesOf(counts, 'a', 1).reduce((sum, { drafts }) => sum + drafts, 0),
        all.length,
      );
      assert.deepEqual(confidencesOf(counts, 'a', 0), []);
      assert.deepEqual(readCounts(writeCounts(counts)), counts);
    }),
  );
});

test('bins rise without a gap from 0 to 1, finer where drafts are surest', () => {
  let counts = NO_COUNTS;
  for (let at = 0; at <= 10_000; at += 1) {
    counts = addCounts(counts, { [confidenceCounter('a', 0, confidenceBin(at / 10_000))]: 1 });
  }
  const bins = confidencesOf(counts, 'a', 0);
  assert.equal(bins.length, 82);
  assert.deepEqual([bins[0]?.from, bins.at(-1)?.to], [0, 1]);
  for (const [at, { from }] of bins.entries()) if (at > 0) assert.equal(from, bins[at - 1]?.to);
  const width = (at: number): number => Math.round(((bins[at]?.to ?? 0) - (bins[at]?.from ?? 0)) * 1e4) / 1e4;
  assert.deepEqual([width(0), width(45), width(63), width(81)], [0.02, 0.005, 0.0005, 0.001]);
});
