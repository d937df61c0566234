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
  moreRecord,
  errorCounter,
  isCounter,
  NO_COUNTS,
  NO_USAGE,
  readCounts,
  reasonCounter,
  STAGE_COUNTERS,
  stageCounter,
  stageCounts,
  totalOf,
  writeCounts,
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
  assert.deepEqual(readCounts({ counts: countsRecord.parse({ completed: 3, 'a/1/nanoUsd': 5 }) }), {
    ...NO_COUNTS,
    completed: 3,
    'a/1/nanoUsd': 5,
  });
  for (const wrong of [{ drafts: 1 }, { completed: -1 }, { completed: 0.5 }, { 'a/1/nanoUsd': '1' }]) {
    assert.equal(countsRecord.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});

test('counters that say why: of any reason and code, but of no name that a server chooses', () => {
  assert.equal(reasonCounter('invoices', 0, 'no_label'), 'invoices/1/reason:no_label');
  for (const [what, name] of [
    [404, 'error/404'],
    ['batch_expired', 'error/batch_expired'],
    [200, 'error/other'],
    [999, 'error/other'],
    ['Any Code', 'error/other'],
    ['x'.repeat(41), 'error/other'],
  ] as const) {
    assert.equal(errorCounter(what), name);
    assert.ok(isCounter(name));
  }
  for (const wrong of ['error/', 'error/A', 'a/1/reason:', 'a/x/reason:b', 'a/1/error/400']) {
    assert.equal(isCounter(wrong), false, wrong);
  }
});

test('records have counters that say why in a place of their own, which the version before passes over', () => {
  const own: Counts = { ...NO_COUNTS, completed: 3, 'a/1/escalated': 2, 'a/1/reason:no_label': 2, 'error/400': 1 };
  const { counts: plain, reasons } = writeCounts(own);
  assert.deepEqual(plain, { ...NO_COUNTS, completed: 3, 'a/1/escalated': 2 });
  assert.deepEqual(reasons, { 'a/1/reason:no_label': 2, 'error/400': 1 });
  assert.deepEqual(readCounts({ counts: plain, reasons }), own);
  assert.deepEqual(
    readCounts({ counts: plain }),
    { ...NO_COUNTS, completed: 3, 'a/1/escalated': 2 },
    'what it wrote itself',
  );
});

const counter = fc.oneof(
  fc.constantFrom(...COUNTERS),
  fc.constantFrom(errorCounter(400), errorCounter('server_error'), reasonCounter('a', 0, 'truncated')),
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
      const { counts: plain, ...others } = JSON.parse(JSON.stringify(writeCounts(sum))) as ReturnType<
        typeof writeCounts
      >;
      const [reasons, more] = [countsRecord.parse(others.reasons), moreRecord.parse(others.more)];
      assert.deepEqual(readCounts({ counts: countsRecord.parse(plain), reasons, more }), sum);
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
