import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fewerSlots, moreSlots } from './slots.ts';

test('slots stay between one and the most, whatever happens, and come back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_024 }), fc.array(fc.boolean(), { maxLength: 200 }), (most, answered) => {
      let slots = most;
      for (const good of answered) {
        slots = good ? moreSlots(slots, most) : fewerSlots(slots);
        assert.ok(slots >= 1 && slots <= most);
      }
      for (let answers = 0; answers < most * most; answers += 1) slots = moreSlots(slots, most);
      assert.equal(slots, most);
    }),
    { numRuns: 30 },
  );
});

test('workers that share a server come to even shares', () => {
  const takes = 600;
  let shares = [500, 40];
  for (let round = 0; round < 200; round += 1) {
    const sum = shares.reduce((all, one) => all + one, 0);
    shares = shares.map((slots) => (sum > takes ? fewerSlots(slots) : manyAnswers(slots)));
  }
  const [left = 0, right = 0] = shares;
  assert.ok(Math.abs(left - right) < 65, `${left} and ${right}: within a step of each other`);
});

/** As many answers as there are slots. */
function manyAnswers(slots: number): number {
  let now = slots;
  for (let answers = 0; answers < slots; answers += 1) now = moreSlots(now, 1_024);
  return now;
}
