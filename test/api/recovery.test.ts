import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KEYS, NO_COUNTS, type BatchObject } from '@spillway/core';
import { finishRecovery, open, readBatch, restore } from '@spillway/redis';
import { toFile, type OpenAI } from 'openai';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { beginAnew } from '../support/stores.ts';
import { rulesOf, startTestApi, type TestApi } from './api-under-test.ts';
import { errorOf, json, send, type Answer } from './raw-http.ts';

const BODY = {
  input_file_id: `file-${'1'.repeat(32)}`,
  endpoint: '/v1/chat/completions',
  completion_window: '24h',
} as const;

const LINE = '{"custom_id":"a"}\n';
const facts = { total: 4, pages: 1, model: 'invoices', inProgressAtMs: 1_700_000_000_000 };
const rules = rulesOf('invoices');

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis({ maxmemory: '64mb' });
  api = await startTestApi({ redisUrl: redis.url });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});
afterEach(async () => {
  await redis.restart();
  await untilReady();
  await api.recover();
});

async function untilReady(): Promise<void> {
  for (let left = 200; left > 0; left -= 1) {
    const { detail } = json(await send(`${api.url}/health/ready`));
    if (detail === 'ready' && api.store.client.status === 'ready') return;
    await delay(25);
  }
  assert.fail('Redis was not found again');
}

const create = (headers = {}): Promise<Answer> =>
  send(`${api.url}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(BODY),
  });

const cancel = (id: string): Promise<Answer> => send(`${api.url}/v1/batches/${id}/cancel`, { method: 'POST' });

function unavailable(answer: Answer): void {
  assert.equal(answer.status, 503, answer.body.toString());
  assert.equal(answer.headers['retry-after'], '1');
  assert.deepEqual([errorOf(answer).type, errorOf(answer).code], ['server_error', 'service_unavailable']);
}

/** A batch in each state that storage knows of, and what it is shown as without Redis. */
async function batches(): Promise<Record<string, string>> {
  const client = api.client();
  const made: Record<string, string> = {};
  for (const status of ['validating', 'in_progress', 'cancelling', 'completed']) {
    made[status] = (await client.batches.create(BODY)).id;
  }
  const validated = {
    validatedAtMs: facts.inProgressAtMs,
    total: 4,
    cascades: ['invoices'],
    pages: [[0, 4, 0, 99, 0]],
  };
  for (const status of ['in_progress', 'cancelling']) await api.put(KEYS.validated(made[status] ?? ''), validated);
  await api.put(KEYS.ending(made['cancelling'] ?? ''), {
    outcome: 'cancelled',
    endedAtMs: facts.inProgressAtMs + 1_000,
  });
  await api.put(KEYS.final(made['completed'] ?? ''), {
    outcome: 'completed',
    total: 4,
    model: 'invoices',
    counts: { ...NO_COUNTS, completed: 4 },
    inProgressAtMs: 1,
    closedAtMs: 2,
    endedAtMs: 3,
    errors: [],
    pages: [],
    outputFileId: null,
    errorFileId: null,
  });
  return made;
}

/** `why` says why nobody knows how far the batches are that have not ended. */
async function shownFromStorage(made: Record<string, string>, why: string): Promise<void> {
  const client = api.client();
  for (const [status, id] of Object.entries(made)) {
    const batch = (await client.batches.retrieve(id)) as OpenAI.Batch & Pick<BatchObject, 'spillway'>;
    assert.equal(batch.status, status);
    const waiting = { tier: null, state: 'recovering', since: null, reason: why };
    assert.deepEqual(batch.spillway.waiting, status === 'completed' ? [] : [waiting]);
    if (status === 'in_progress' || status === 'cancelling') {
      assert.deepEqual([batch.request_counts?.total, batch.model], [4, 'invoices']);
      assert.equal(batch.in_progress_at, 1_700_000_000);
    }
    assert.equal(batch.cancelling_at, status === 'cancelling' ? 1_700_000_001 : null);
  }
  const listed = new Map((await client.batches.list({ limit: 100 })).data.map((batch) => [batch.id, batch.status]));
  for (const [status, id] of Object.entries(made)) assert.equal(listed.get(id), status);
}

test('while Redis recovers, nothing is made or cancelled, and batches are read from storage', async () => {
  const made = await batches();
  await redis.restart({ lose: true });
  await untilReady();
  unavailable(await create());
  unavailable(await cancel(made['validating'] ?? ''));
  await shownFromStorage(made, 'the work in flight is read from storage again');
  assert.equal((await cancel(made['completed'] ?? '')).status, 409);
});

test('what Redis had before a restart is not believed until the recovery is over', async () => {
  const { id } = await api.client().batches.create(BODY);
  await open(api.store, id, facts, rules);
  await redis.client.call('WAIT', 0, 0);
  await delay(1_100);
  await redis.restart();
  await untilReady();
  assert.equal((await readBatch(api.store, id))?.phase, 'open');
  assert.equal((await api.client().batches.retrieve(id)).status, 'validating');
});

test('while Redis is down: 503 for changes, everything else goes on', async () => {
  const made = await batches();
  const keyed = json(await create({ 'idempotency-key': 'before' }));
  await redis.kill();
  const started = performance.now();
  unavailable(await create());
  unavailable(await cancel(made['in_progress'] ?? ''));
  await shownFromStorage(made, 'the work in flight cannot be reached just now');
  assert.ok(performance.now() - started < 15_000);
  assert.equal(
    json(await create({ 'idempotency-key': 'before' }))['id'],
    keyed['id'],
    'a batch that stands is answered',
  );
  const ready = await send(`${api.url}/health/ready`);
  assert.equal(ready.status, 200, 'taken out of service it could ask nobody to come again');
  assert.deepEqual(json(ready), { ok: true, detail: 'Redis does not answer' });
  assert.equal((await send(`${api.url}/health/live`)).status, 200);
  const file = await api.client().files.create({ file: await toFile(Buffer.from(LINE), 'a.jsonl'), purpose: 'batch' });
  assert.equal(await (await api.client().files.content(file.id)).text(), LINE);
});

test('when Redis is nearly full, batches are refused with a time to come again', async () => {
  await redis.client.config('SET', 'maxmemory', '1');
  try {
    const answer = await create();
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.headers['retry-after']) > 0);
  } finally {
    await redis.client.config('SET', 'maxmemory', '64mb');
  }
  assert.equal((await create()).status, 200);
});

test('a recovery that read storage before the cancel does not bring the batch back', async () => {
  const { id } = await api.client().batches.create(BODY);
  await open(api.store, id, facts, rules);
  assert.equal(json(await cancel(id))['status'], 'cancelling');
  // The cancel is in storage. Redis is wiped, and a recovery puts the batch back as it read it before.
  const recovery = await beginAnew(api.store, 'old');
  const stored = { tenant: 'default', createdAtMs: 1, expiresAtMs: 2, validated: { ...facts, rules }, ending: null };
  await restore(api.store, recovery, id, stored);
  const again = cancel(id);
  await delay(300);
  assert.ok(await finishRecovery(api.store, recovery));
  assert.equal(json(await again)['status'], 'cancelling');
  assert.equal((await readBatch(api.store, id))?.outcome, 'cancelled');
});
