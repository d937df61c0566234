import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../limits.ts';
import { hasEnqueueMemory, isNearlyFull } from './capacity.ts';

test('enqueueing stops at its share of the memory, and where what is in flight would not fit again', () => {
  const used = (usedBytes: number, heldBytes = 0) => hasEnqueueMemory({ usedBytes, maxBytes: 1_000 }, heldBytes);
  assert.equal(used(599), true);
  assert.equal(used(600), false);
  assert.equal(used(500, 299), true);
  assert.equal(used(500, 300), false);
  assert.equal(hasEnqueueMemory({ usedBytes: 1e15, maxBytes: 0 }, 1e15), true, 'no bound was set');
});

test('a tier is nearly full two pages before it is', () => {
  const bound = LIMITS.inFlightBytesPerWay - 2 * LIMITS.pageInputBytes;
  assert.equal(isNearlyFull(bound), false);
  assert.equal(isNearlyFull(bound + 1), true);
  const line = LIMITS.lineBytes;
  assert.equal(isNearlyFull(2 * line, 1), false);
  assert.equal(isNearlyFull(2 * line + 1, line), true, 'a page may be one large line');
});
