import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from './limits.ts';

test('every limit is a number above 0, in whole units but for shares', () => {
  for (const [name, limit] of Object.entries(LIMITS)) {
    assert.ok(limit > 0, name);
    if (name.endsWith('Share')) assert.ok(limit < 1, name);
    else assert.ok(Number.isSafeInteger(limit), name);
  }
});

test('limits that depend on each other agree', () => {
  assert.ok(LIMITS.inFlightBytesPerWay >= 16 * LIMITS.pageInputBytes, 'at least 16 pages are in flight');
  assert.ok(LIMITS.lineBytes <= LIMITS.lineBytesMax);
  assert.ok(LIMITS.inFlightBytesPerWay >= 3 * LIMITS.lineBytes, 'three of the largest lines are in flight');
  assert.ok(LIMITS.enqueueMemoryShare < LIMITS.createMemoryShare, 'enqueueing stops before creating');
  assert.ok(LIMITS.createMemoryShare < LIMITS.filledMemoryShare);
  assert.ok(LIMITS.completionWindowMinMs < LIMITS.completionWindowMaxMs);
  assert.ok(LIMITS.fileExpiryMinSeconds < LIMITS.fileExpiryMaxSeconds);
  assert.ok(LIMITS.inlineRequestsBytes <= LIMITS.uploadBytes);
});
