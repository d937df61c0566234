import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limitAfterAnswer, loweredLimit, raisedLimit } from './concurrency.ts';

test('a limit stays between one and the maximum, whatever happens, and comes back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_024 }), fc.array(fc.boolean(), { maxLength: 200 }), (max, answered) => {
      let limit = max;
      for (const good of answered) {
        limit = good ? raisedLimit(limit, max) : loweredLimit(limit);
        assert.ok(limit >= 1 && limit <= max);
      }
      for (let answers = 0; answers < max * max; answers += 1) limit = raisedLimit(limit, max);
      assert.equal(limit, max);
    }),
    { numRuns: 30 },
  );
});

test('workers that share a server come to even shares', () => {
  const takes = 600;
  let shares = [500, 40];
  for (let round = 0; round < 200; round += 1) {
    const sum = shares.reduce((all, one) => all + one, 0);
    shares = shares.map((limit) => (sum > takes ? loweredLimit(limit) : manyAnswers(limit)));
  }
  const [left = 0, right = 0] = shares;
  assert.ok(Math.abs(left - right) < 65, `${left} and ${right}: within a step of each other`);
});

/** As many answers as the limit. */
function manyAnswers(limit: number): number {
  let now = limit;
  for (let answers = 0; answers < limit; answers += 1) now = raisedLimit(now, 1_024);
  return now;
}

test('a server of one slot that queues without end: the limit comes to what it answers in time, and stays there', () => {
  const timeoutMs = 2_000;
  let limit = 64;
  let isWary = false;
  for (let round = 0; round < 100; round += 1) {
    const tookMs = 100 * Math.floor(limit);
    if (tookMs > timeoutMs) {
      isWary = true;
      limit = loweredLimit(limit);
    } else
      for (let answers = 0; answers < 8; answers += 1)
        limit = limitAfterAnswer(limit, 64, { slowestShare: tookMs / timeoutMs, isWary });
    if (round > 5) assert.ok(limit >= 4 && limit < 20, `${limit}`);
  }
});

test('answers that are only long lower nothing', () => {
  assert.equal(limitAfterAnswer(16, 16, { slowestShare: 0.9, isWary: false }), 16);
  assert.ok(limitAfterAnswer(8, 16, { slowestShare: 0.9, isWary: false }) > 8);
});
