import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shareInterval } from './interval.ts';

test('the exact interval of a share is that of the tables, and closed at the ends', () => {
  const near = ([low, high]: readonly [number, number], expected: readonly [number, number]) =>
    assert.ok(Math.abs(low - expected[0]) < 1e-4 && Math.abs(high - expected[1]) < 1e-4, `${low} to ${high}`);
  near(shareInterval(5, 10), [0.1871, 0.8129]);
  near(shareInterval(0, 100), [0, 0.0362]);
  near(shareInterval(100, 100), [0.9638, 1]);
  assert.deepEqual(shareInterval(0, 0), [0, 1]);
  for (const [count, total] of [
    [Number.NaN, 0],
    [2, 1],
    [0.5, 1],
  ] as const)
    assert.throws(() => shareInterval(count, total), RangeError);
});

test('the interval holds the share that was seen, and narrows with more of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true }), (total, part) => {
      const count = Math.round(part * total);
      const [low, high] = shareInterval(count, total);
      assert.ok(low <= count / total && count / total <= high);
      const [lower, higher] = shareInterval(4 * count, 4 * total);
      assert.ok(higher - lower <= high - low);
    }),
  );
});
