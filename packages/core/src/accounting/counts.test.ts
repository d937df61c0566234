import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addCounts,
  addStageCounts,
  addUsage,
  batchUsage,
  COUNTERS,
  countsRecord,
  isCounter,
  NO_COUNTS,
  NO_USAGE,
  readCounts,
  STAGE_COUNTERS,
  stageCounter,
  stageCounts,
  totalOf,
  type Counts,
} from './counts.ts';

test('a stage’s counter names cascade, stage from 1 and counter', () => {
  assert.equal(stageCounter('invoices', 0, 'nanoUsd'), 'invoices/1/nanoUsd');
  for (const name of [...COUNTERS, ...STAGE_COUNTERS.map((one) => stageCounter('a.b-c_d', 7, one))]) {
    assert.ok(isCounter(name), name);
  }
  for (const name of [
    '',
    'nanoUsd',
    'a/1',
    'a/1/',
    'a/x/nanoUsd',
    'a/1/none',
    '/1/nanoUsd',
    'a/b/1/nanoUsd',
    'completed ',
  ]) {
    assert.equal(isCounter(name), false, name);
  }
});

test('counts are written whole and of known names; what was never counted is 0', () => {
  assert.deepEqual(readCounts(countsRecord.parse({ completed: 3, 'a/1/nanoUsd': 5 })), {
    ...NO_COUNTS,
    completed: 3,
    'a/1/nanoUsd': 5,
  });
  for (const wrong of [{ drafts: 1 }, { completed: -1 }, { completed: 0.5 }, { 'a/1/nanoUsd': '1' }]) {
    assert.equal(countsRecord.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});

const counter = fc.oneof(
  fc.constantFrom(...COUNTERS),
  fc
    .tuple(fc.constantFrom('a', 'ab', 'b'), fc.nat(2), fc.constantFrom(...STAGE_COUNTERS))
    .map(([cascade, stage, name]) => stageCounter(cascade, stage, name)),
);
const counts = fc.dictionary(counter, fc.nat(1e6)) as fc.Arbitrary<Partial<Counts>>;

test('sums in any order agree, and those of all stages are those of each', () => {
  fc.assert(
    fc.property(fc.array(counts, { maxLength: 8 }), (all) => {
      const sum = all.reduce<Counts>(addCounts, NO_COUNTS);
      assert.deepEqual(all.toReversed().reduce<Counts>(addCounts, NO_COUNTS), sum);
      const stages = ['a', 'ab', 'b'].flatMap((cascade) => [0, 1, 2].map((stage) => stageCounts(sum, cascade, stage)));
      const together = addStageCounts(stages);
      for (const name of STAGE_COUNTERS) assert.equal(totalOf(sum, name), together[name], name);
      assert.deepEqual(readCounts(countsRecord.parse(JSON.parse(JSON.stringify(sum)))), sum);
    }),
  );
});

test('a counter’s name that ends another’s is not taken for it', () => {
  const own: Counts = {
    ...NO_COUNTS,
    accepted: 9,
    'a/1/inputTokens': 1,
    'a/1/wastedInputTokens': 4,
    'b/2/inputTokens': 2,
  };
  assert.equal(totalOf(own, 'inputTokens'), 3);
  assert.equal(totalOf(own, 'wastedInputTokens'), 4);
  assert.equal(totalOf(own, 'accepted'), 0);
});

test('the usage of a batch is that of all its stages', () => {
  const own: Counts = {
    ...NO_COUNTS,
    'a/1/inputTokens': 10,
    'a/1/cachedTokens': 4,
    'a/2/inputTokens': 20,
    'a/3/outputTokens': 5,
    'a/3/reasoningTokens': 2,
    'b/1/outputTokens': 1,
  };
  assert.deepEqual(batchUsage(own), {
    input_tokens: 30,
    input_tokens_details: { cached_tokens: 4 },
    output_tokens: 6,
    output_tokens_details: { reasoning_tokens: 2 },
    total_tokens: 36,
  });
  const usage = { inputTokens: 1, cachedTokens: 2, outputTokens: 3, reasoningTokens: 4 };
  assert.deepEqual(addUsage(usage, NO_USAGE), usage);
  assert.deepEqual(addUsage(usage, usage), { inputTokens: 2, cachedTokens: 4, outputTokens: 6, reasoningTokens: 8 });
});
