import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signWebhook, webhookBody } from './webhook.ts';

test('a webhook is the same however often it is made', () => {
  const made = webhookBody('batch_1', 'batch.completed', 1_700_000_000_999);
  assert.deepEqual(made, webhookBody('batch_1', 'batch.completed', 1_700_000_000_999));
  assert.deepEqual(JSON.parse(made.text), {
    id: made.id,
    object: 'event',
    created_at: 1_700_000_000,
    type: 'batch.completed',
    data: { id: 'batch_1' },
  });
  assert.notEqual(made.id, webhookBody('batch_1', 'batch.expired', 1_700_000_000_999).id);
  assert.notEqual(made.id, webhookBody('batch_2', 'batch.completed', 1_700_000_000_999).id);
});

test('a signature is the one of the published example', () => {
  // https://github.com/standard-webhooks/standard-webhooks: the example of its specification.
  const headers = signWebhook(
    { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', text: '{"test": 2432232314}' },
    { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', nowMs: 1_614_265_330_000 },
  );
  assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});
