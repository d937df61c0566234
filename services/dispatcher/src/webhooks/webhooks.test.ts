import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { webhookBackoffMs } from './webhooks.ts';

test('a webhook that is not taken waits seconds at first, and never more than an hour', () => {
  assert.deepEqual(
    [1, 2, 3].map((failures) => webhookBackoffMs(failures, 1)),
    [5_000, 10_000, 20_000],
  );
  assert.equal(webhookBackoffMs(1_000, 1), 3_600_000);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, jitter) => {
      const waitMs = webhookBackoffMs(failures, jitter);
      assert.ok(waitMs >= 2_500 && waitMs <= 3_600_000);
    }),
  );
});
