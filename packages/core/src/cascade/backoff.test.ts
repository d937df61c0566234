import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs } from './backoff.ts';

const backoff = { firstMs: 500, maxMs: 30_000 };

test('waits double from the first up to the longest, and the jitter takes off up to a half', () => {
  assert.deepEqual(
    [1, 2, 3, 6, 7, 50].map((failures) => backoffMs(failures, 1, backoff)),
    [500, 1_000, 2_000, 16_000, 30_000, 30_000],
  );
  assert.deepEqual(
    [1, 2, 50].map((failures) => backoffMs(failures, 0, backoff)),
    [250, 500, 15_000],
  );
});

test('whatever is said of failures and jitter, a wait is a whole number between half the first and the longest', () => {
  fc.assert(
    fc.property(
      fc.double(),
      fc.double(),
      fc.integer({ min: 1, max: 10_000 }),
      fc.nat(1e6),
      (failures, jitter, firstMs, more) => {
        const ms = backoffMs(failures, jitter, { firstMs, maxMs: firstMs + more });
        assert.ok(Number.isInteger(ms) && ms >= Math.floor(firstMs / 2) && ms <= firstMs + more, `${ms}`);
      },
    ),
  );
});

test('more failures never wait less', () => {
  fc.assert(
    fc.property(fc.nat(1_000), fc.double({ min: 0, max: 1, noNaN: true }), (failures, jitter) => {
      assert.ok(backoffMs(failures + 1, jitter, backoff) >= backoffMs(failures, jitter, backoff));
    }),
  );
});
