import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KEYS, NO_PROGRESS, NO_COUNTS, RECORD_VERSION, RECORDS, type FinalRecord, type Manifest } from '@spillway/core';
import { close, finishRecovery, liveBatches, open, readBatch, restore } from '@spillway/redis';
import { readRecord } from '@spillway/storage';
import OpenAI from 'openai';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { beginAnew } from '../support/stores.ts';
import { strictParse } from '../support/strict.ts';
import { rulesOf, startTestApi, type TestApi } from './api-under-test.ts';
import { errorOf, json, send, type Answer } from './raw-http.ts';

const INPUT = `file-${'1'.repeat(32)}`;
const BODY = { input_file_id: INPUT, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
const COUNTS = {
  ...NO_COUNTS,
  completed: 2,
  failed: 1,
  'invoices/1/inputTokens': 100,
  'invoices/2/inputTokens': 30,
  'invoices/2/outputTokens': 7,
};

let redis: RedisServer;
let api: TestApi;
let client: OpenAI;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url });
  client = api.client();
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

const post = (path: string, body: unknown, headers = {}, to = api): Promise<Answer> =>
  send(`${to.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const create = async (from = client): Promise<string> => (await from.batches.create(BODY)).id;

const facts = { total: 3, pages: 1, model: 'invoices', inProgressAtMs: Date.now() };
const rules = rulesOf('invoices');

async function end(
  id: string,
  outcome: FinalRecord['outcome'],
  over: Partial<FinalRecord> = {},
  to = api,
): Promise<void> {
  const final: FinalRecord = {
    v: RECORD_VERSION,
    outcome,
    total: 3,
    model: 'invoices',
    counts: COUNTS,
    waits: {},
    inProgressAtMs: facts.inProgressAtMs,
    closedAtMs: facts.inProgressAtMs + 5_000,
    endedAtMs: facts.inProgressAtMs + 9_000,
    errors: [],
    pages: [[10, 5]],
    outputFileId: `file-${'a'.repeat(32)}`,
    errorFileId: `file-${'b'.repeat(32)}`,
    ...over,
  };
  await to.storage.create(KEYS.final(id), Buffer.from(JSON.stringify(final)));
  await to.store.client.del(to.store.keys.batch(id));
  await to.store.client.srem(to.store.keys.batches, id);
}

const record = (id: string, name: 'validated' | 'ending', value: object): Promise<unknown> =>
  api.storage.create(KEYS[name](id), Buffer.from(JSON.stringify({ v: RECORD_VERSION, ...value })));

test('a batch that a recovery put back while somebody was ending it is shown as ended all the same', async () => {
  const id = await create();
  await open(api.store, id, facts, rules);
  await end(id, 'completed');
  const recovery = await beginAnew(api.store);
  const { model } = facts;
  const validated = { ...facts, model, rules };
  const stored = { tenant: 'default', createdAtMs: 1, expiresAtMs: Date.now() + 1e6, validated, ending: null };
  assert.equal(await restore(api.store, recovery, id, stored), 'RESTORED');
  assert.equal(await finishRecovery(api.store, recovery), true);
  assert.equal((await readBatch(api.store, id))?.phase, 'open');
  assert.equal((await client.batches.retrieve(id)).status, 'completed');
  await api.store.client.del(api.store.keys.batch(id));
});

describe('create', () => {
  test('answers the whole object, writes what must last, and takes the batch into work', async () => {
    const metadata = { project: 'invoices', Überschrift: '🙂' };
    const expiry = { anchor: 'created_at', seconds: 3_600 } as const;
    const created = await client.batches.create({ ...BODY, metadata, output_expires_after: expiry });
    const { id, created_at, expires_at, ...rest } = created;
    assert.match(id, /^batch_[0-9a-f]{32}$/);
    assert.ok(Math.abs(created_at - Date.now() / 1000) < 5);
    assert.equal(expires_at, created_at + 86_400);
    assert.deepEqual(rest, {
      object: 'batch',
      endpoint: '/v1/chat/completions',
      model: null,
      errors: null,
      input_file_id: INPUT,
      completion_window: '24h',
      status: 'validating',
      output_file_id: null,
      error_file_id: null,
      in_progress_at: null,
      finalizing_at: null,
      completed_at: null,
      failed_at: null,
      expired_at: null,
      cancelling_at: null,
      cancelled_at: null,
      request_counts: { total: 0, completed: 0, failed: 0 },
      usage: {
        input_tokens: 0,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: 0,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 0,
      },
      metadata,
      spillway: {
        paused: false,
        priority: 'normal',
        documents: { accepted: 0, copied: 0, kept: 0 },
        escalations: [],
        failures: [],
        warnings: [],
        audits: [],
        progress: NO_PROGRESS,
        waiting: [],
        thresholds: [],
      },
    });
    const manifest = (await readRecord(api.storage, KEYS.manifest(id), RECORDS.manifest)) as Manifest;
    assert.deepEqual(Object.keys(manifest.cascades), ['invoices', 'letters']);
    assert.equal(manifest.outputExpiresAfterSeconds, 3_600);
    const keys = await api.keys();
    assert.ok(keys.includes(KEYS.openMark(id)));
    assert.ok(keys.includes(KEYS.tenantBatch('default', manifest.createdAtMs, id)));
    assert.equal((await readBatch(api.store, id))?.phase, 'validating');
    assert.ok((await liveBatches(api.store)).includes(id));
    assert.deepEqual(await client.batches.retrieve(id), created);
  });

  test('takes other windows than a day', async () => {
    const { created_at, expires_at } = json(await post('/v1/batches', { ...BODY, completion_window: '90m' }));
    assert.equal(Number(expires_at) - Number(created_at), 5_400);
  });

  test('names what is wrong, in the envelope and as the SDK throws it', async () => {
    const cases: [object, string, string, string][] = [
      [
        { ...BODY, input_file_id: undefined },
        'input_file_id',
        'missing_required_parameter',
        "Missing required parameter: 'input_file_id'.",
      ],
      [
        { ...BODY, endpoint: '/v1/embeddings' },
        'endpoint',
        'invalid_value',
        "Invalid value: '/v1/embeddings'. Supported values are: '/v1/chat/completions', '/v1/completions', '/v1/responses'.",
      ],
      [
        { ...BODY, metadata: { 'spillway.maxusd': '0.01' } },
        'metadata.spillway.maxusd',
        'unknown_parameter',
        "Unknown key 'spillway.maxusd' in 'metadata'. Did you mean 'spillway.max_usd'? " +
          "Known keys are 'spillway.max_usd', 'spillway.shadow', 'spillway.on_bad_lines', 'spillway.deduplicate', " +
          "'spillway.accept_at', 'spillway.budget', 'spillway.promise' and 'spillway.labels'.",
      ],
      [
        { ...BODY, metadata: { 'spillway.budgets': 'expert_share=0.25' } },
        'metadata.spillway.budgets',
        'unknown_parameter',
        "Unknown key 'spillway.budgets' in 'metadata'. Did you mean 'spillway.budget'? " +
          "Known keys are 'spillway.max_usd', 'spillway.shadow', 'spillway.on_bad_lines', 'spillway.deduplicate', " +
          "'spillway.accept_at', 'spillway.budget', 'spillway.promise' and 'spillway.labels'.",
      ],
      [
        { ...BODY, metadata: { 'spillway.deduplicate': 'no' } },
        'metadata.spillway.deduplicate',
        'invalid_value',
        "Invalid value: 'no'. Supported values are: 'true' and 'false'.",
      ],
      [
        { ...BODY, metadata: { a: 1 } },
        'metadata.a',
        'invalid_type',
        "Invalid type for 'metadata.a': expected a string, but got an integer instead.",
      ],
    ];
    for (const [body, param, code, message] of cases) {
      const answer = await post('/v1/batches', body);
      assert.equal(answer.status, 400);
      assert.deepEqual(errorOf(answer), { message, type: 'invalid_request_error', param, code });
    }
    await assert.rejects(
      client.batches.create({ ...BODY, completion_window: '25 hours' as '24h' }),
      (error: unknown) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.deepEqual([error.param, error.code], ['completion_window', 'invalid_value']);
        return true;
      },
    );
  });

  test('a body that is none is a 400, one that is too large a 413, one of another kind a 415', async () => {
    for (const body of ['', '{', '[]', 'null', '"x"', '{"a":'.repeat(10_000)]) {
      assert.equal((await post('/v1/batches', body)).status, 400, body.slice(0, 20));
    }
    // A sender in mid-body sees the answer, as long as it does not ask for its connection to be closed.
    const large = JSON.stringify({ ...BODY, filler: 'x'.repeat(12_000_000) });
    const headers = { 'content-type': 'application/json' };
    assert.equal((await fetch(`${api.url}/v1/batches`, { method: 'POST', headers, body: large })).status, 413);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      assert.equal((await post('/v1/batches', BODY, { 'content-type': type })).status, 415, type);
    }
  });

  test('keys that JSON may hold and JavaScript is wary of do no harm', async () => {
    const text = JSON.stringify(BODY).replace('{', '{"__proto__":{"endpoint":1},"constructor":{"prototype":{}},');
    assert.equal((await post('/v1/batches', text)).status, 200);
    const metadata = '{"__proto__":"x","constructor":"y"}';
    const answer = await post('/v1/batches', JSON.stringify(BODY).replace('{', `{"metadata":${metadata},`));
    assert.equal(answer.status, 200);
    assert.equal((json(answer)['metadata'] as Record<string, string>)['constructor'], 'y');
  });

  test("the service's own labels are taken beside 16 of the client's", async () => {
    const own = {
      'spillway.retry_of': 'batch_1',
      'spillway.sample_of': 'batch_2',
      'spillway.redecided_from': 'batch_3',
    };
    const labels = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`k${at}`, 'x']));
    const made = await client.batches.create({ ...BODY, metadata: { ...labels, ...own } });
    assert.deepEqual({ ...made.metadata }, { ...labels, ...own });
    const over = await post('/v1/batches', { ...BODY, metadata: { ...labels, ...own, more: 'x' } });
    assert.deepEqual([over.status, errorOf(over).code], [400, 'object_above_max_properties']);
  });

  test('half of a character is sent back as none, in answers and in errors', async () => {
    const made = await post('/v1/batches', { ...BODY, metadata: { '\ud83d': 'a\ude00', b: '😀' } });
    assert.deepEqual((strictParse(made.body) as { metadata: object }).metadata, { '\ufffd': 'a\ufffd', b: '😀' });
    const id = String(json(made)['id']);
    strictParse((await send(`${api.url}/v1/batches/${id}`)).body);
    for (const name of ['spillway.\ud83d', `spillway.${'x'.repeat(40)}😀`]) {
      const refused = await post('/v1/batches', { ...BODY, metadata: { [name]: 'x' } });
      assert.equal(refused.status, 400);
      strictParse(refused.body);
    }
    const endpoint = `${'x'.repeat(99)}😀`;
    const error = errorOf(await post('/v1/batches', { ...BODY, endpoint }));
    assert.match(error.message, /'x{99}…'/);
  });

  test('deep nesting of what is ignored is ignored', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    assert.equal((await post('/v1/batches', JSON.stringify(BODY).replace('{', `{"x":${deep},`))).status, 200);
    const answer = await post('/v1/batches', JSON.stringify(BODY).replace('{', `{"metadata":${deep},`));
    assert.equal(errorOf(answer).code, 'invalid_type');
  });
});

describe('x-spillway-ignored', () => {
  const ignored = (answer: Answer): unknown => answer.headers['x-spillway-ignored'];

  test('names the keys of a create body that are not known, also where the create is refused', async () => {
    const made = await post('/v1/batches', { ...BODY, priority: 'high', 'Überschrift, lang': 1, metadata: { a: 'b' } });
    assert.deepEqual([made.status, ignored(made)], [200, 'priority,%C3%9Cberschrift%2C%20lang']);
    const clean = await post('/v1/batches', { ...BODY, requests: null, output_expires_after: null });
    assert.deepEqual([clean.status, ignored(clean)], [200, undefined]);
    const { endpoint: _, ...lacking } = BODY;
    const refused = await post('/v1/batches', { ...lacking, endpont: '/v1/chat/completions' });
    assert.deepEqual([refused.status, ignored(refused)], [400, 'endpont']);
  });

  test('is short and harmless, whatever the keys are', async () => {
    const keys = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`k${at}\r\nx: y`, at]));
    const answer = await post('/v1/batches', { ...BODY, ['k'.repeat(100_000)]: 1, ...keys });
    assert.equal(answer.status, 200);
    const value = String(ignored(answer));
    assert.match(value, /^k{64}\.\.\.,k0%0D%0Ax%3A%20y,[!-~]+,\.\.\.$/);
    assert.ok(value.length <= 512);
  });

  test('names those of a retry too', async () => {
    const id = await create();
    const answer = await post(`/v1/batches/${id}/retry`, { completion_window: '1h', window: '2h' });
    assert.deepEqual([answer.status, ignored(answer)], [409, 'window']);
  });
});

describe('Idempotency-Key', () => {
  const keyed = (key: string, body: object = BODY): Promise<Answer> =>
    post('/v1/batches', body, { 'idempotency-key': key });

  test('the same key and body give the same batch', async () => {
    const first = await keyed('same');
    const second = await keyed('same', { ...BODY, ignored: true });
    assert.equal(second.status, 200);
    assert.deepEqual(json(second), json(first));
    const other = await keyed('another');
    assert.notEqual(json(other)['id'], json(first)['id']);
  });

  test('the same key with another body is a 409 that SDKs do not repeat', async () => {
    await keyed('taken');
    const answer = await keyed('taken', { ...BODY, completion_window: '1h' });
    assert.equal(answer.status, 409);
    assert.equal(answer.headers['x-should-retry'], 'false');
    assert.equal(errorOf(answer).code, 'idempotency_key_reused');
  });

  test('creates at the same time make one batch, listed once', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => keyed('race')));
    const ids = new Set(answers.map((answer) => json(answer)['id']));
    assert.deepEqual([[...new Set(answers.map(({ status }) => status))], ids.size], [[200], 1]);
    const listed = (await client.batches.list({ limit: 100 })).data.filter(({ id }) => ids.has(id));
    assert.equal(listed.length, 1);
  });

  test('an index key of a create that came second is passed over', async () => {
    const { id } = json(await keyed('twice')) as { id: string };
    await api.storage.create(KEYS.tenantBatch('default', Date.now() + 50, id), Buffer.from('{}'));
    const listed = (await client.batches.list({ limit: 100 })).data.filter((batch) => batch.id === id);
    assert.equal(listed.length, 1);
  });

  test('a key that is too long is refused', async () => {
    assert.equal((await keyed('k'.repeat(256))).status, 400);
    assert.equal((await keyed('k'.repeat(255))).status, 200);
  });
});

describe('show', () => {
  test('every state of a batch in work', async () => {
    const id = await create();
    await open(api.store, id, facts, rules);
    await api.store.client.hset(api.store.keys.batch(id), 'completed', 1, 'failed', 1, 'invoices/1/inputTokens', 12);
    const running = await client.batches.retrieve(id);
    assert.deepEqual(
      [running.status, running.model, running.request_counts, running.in_progress_at, running.usage?.input_tokens],
      ['in_progress', 'invoices', { total: 3, completed: 1, failed: 1 }, Math.floor(facts.inProgressAtMs / 1000), 12],
    );
    await api.store.client.hset(api.store.keys.batch(id), 'completed', 2);
    await close(api.store, id, 'completed');
    const finalizing = await client.batches.retrieve(id);
    assert.equal(finalizing.status, 'finalizing');
    assert.ok(typeof finalizing.finalizing_at === 'number');
    assert.equal(finalizing.output_file_id, null);
  });

  test('every end', async () => {
    const stamp = (ms: number): number => Math.floor((facts.inProgressAtMs + ms) / 1000);
    for (const outcome of ['completed', 'failed', 'expired', 'cancelled'] as const) {
      const id = await create();
      const errors = outcome === 'failed' ? [{ code: 'invalid_json_line', message: 'm', param: null, line: 3 }] : [];
      await end(id, outcome, { errors });
      const batch = (await client.batches.retrieve(id)) as unknown as Record<string, unknown>;
      assert.equal(batch['status'], outcome);
      assert.deepEqual(batch['request_counts'], { total: 3, completed: 2, failed: 1 });
      assert.deepEqual(batch['errors'], errors.length === 0 ? null : { object: 'list', data: errors });
      assert.equal((batch['usage'] as { total_tokens: number }).total_tokens, 137);
      for (const other of ['completed', 'failed', 'expired', 'cancelled']) {
        assert.equal(batch[`${other}_at`], other === outcome ? stamp(9_000) : null, other);
      }
      assert.equal(batch['finalizing_at'], outcome === 'completed' ? stamp(5_000) : null);
      assert.equal(batch['cancelling_at'], outcome === 'cancelled' ? stamp(5_000) : null);
    }
  });

  test('a batch whose end is written is shown as ended, though Redis still has it', async () => {
    const id = await create();
    await open(api.store, id, facts, rules);
    await close(api.store, id, 'cancelled');
    const hash = await api.store.client.hgetall(api.store.keys.batch(id));
    await end(id, 'cancelled');
    await api.store.client.hset(api.store.keys.batch(id), hash);
    assert.equal((await client.batches.retrieve(id)).status, 'cancelled');
  });

  test('an unknown batch is a 404, whatever its id looks like', async () => {
    for (const id of [`batch_${'0'.repeat(32)}`, 'batch_1', 'x', '..%2f..%2fx', 'a'.repeat(90)]) {
      for (const [method, path] of [
        ['GET', ''],
        ['POST', '/cancel'],
      ]) {
        const answer = await send(`${api.url}/v1/batches/${id}${path}`, { method });
        assert.equal(answer.status, 404, id);
        assert.equal(errorOf(answer).type, 'invalid_request_error');
      }
    }
  });
});

describe('cancel', () => {
  const cancel = (id: string): Promise<Answer> => send(`${api.url}/v1/batches/${id}/cancel`, { method: 'POST' });

  async function refusedAs(id: string, status: string): Promise<void> {
    const answer = await cancel(id);
    assert.equal(answer.status, 409, answer.body.toString());
    assert.equal(answer.headers['x-should-retry'], 'false');
    assert.equal(errorOf(answer).message, `Cannot cancel a batch with status '${status}'.`);
    await assert.rejects(client.batches.cancel(id), OpenAI.ConflictError);
  }

  for (const phase of ['validating', 'in_progress'] as const) {
    test(`while ${phase}, and again: 200, and written down`, async () => {
      const id = await create();
      if (phase === 'in_progress') await open(api.store, id, facts, rules);
      const first = await client.batches.cancel(id);
      assert.equal(first.status, 'cancelling');
      const ending = await readRecord(api.storage, KEYS.ending(id), RECORDS.ending);
      assert.equal(ending?.outcome, 'cancelled');
      assert.equal(first.cancelling_at, Math.floor((ending?.endedAtMs ?? 0) / 1000));
      assert.equal((await readBatch(api.store, id))?.outcome, 'cancelled');
      assert.deepEqual(await client.batches.cancel(id), first);
      await end(id, 'cancelled');
      assert.equal((await client.batches.cancel(id)).status, 'cancelled');
    });
  }

  test('while finalizing: 409', async () => {
    const id = await create();
    await open(api.store, id, facts, rules);
    await api.store.client.hset(api.store.keys.batch(id), 'completed', 3);
    await close(api.store, id, 'completed');
    await refusedAs(id, 'finalizing');
  });

  test('when ended in any other way: 409 with that status', async () => {
    for (const outcome of ['completed', 'failed', 'expired'] as const) {
      const id = await create();
      await end(id, outcome);
      await refusedAs(id, outcome);
    }
  });

  test('an ending that was written first decides', async () => {
    const id = await create();
    await record(id, 'ending', { outcome: 'expired', endedAtMs: Date.now() });
    await refusedAs(id, 'expired');
  });

  test('a cancel that was written down and lost in Redis is carried out again', async () => {
    const id = await create();
    await open(api.store, id, facts, rules);
    await record(id, 'ending', { outcome: 'cancelled', endedAtMs: Date.now() });
    assert.equal(json(await cancel(id))['status'], 'cancelling');
    assert.equal((await readBatch(api.store, id))?.phase, 'closed');
  });

  test('a batch that Redis does not know yet: 503', async () => {
    const id = await create();
    await api.store.client.del(api.store.keys.batch(id));
    const answer = await cancel(id);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '1');
  });

  test('a body, or a content type without one, changes nothing', async () => {
    const headers: [object, string][] = [
      [{ 'content-type': 'application/json' }, ''],
      [{ 'content-type': 'application/json' }, '{"any":1}'],
      [{ 'content-type': 'application/x-www-form-urlencoded' }, ''],
    ];
    for (const [type, body] of headers) {
      const id = await create();
      assert.equal((await post(`/v1/batches/${id}/cancel`, body, { 'content-type': undefined, ...type })).status, 200);
    }
  });
});

describe('list', () => {
  let other: TestApi;
  const ids: string[] = [];

  before(async () => {
    other = await startTestApi({ redisUrl: redis.url });
    for (let number = 0; number < 23; number += 1) {
      ids.unshift(await create(other.client()));
      await delay(2);
    }
  });
  after(() => other[Symbol.asyncDispose]());

  test('newest first, by pages, every batch once', async () => {
    for (const limit of [1, 7, 22, 23, 24, 100, undefined]) {
      const found: string[] = [];
      for await (const batch of other.client().batches.list(limit === undefined ? {} : { limit })) found.push(batch.id);
      assert.deepEqual(found, ids, String(limit));
    }
    const page = await other.client().batches.list();
    assert.deepEqual([page.data.length, page.has_more], [20, true]);
    const last = await other.client().batches.list({ after: ids[20] ?? '', limit: 2 });
    assert.deepEqual([last.data.map(({ id }) => id), last.has_more], [ids.slice(21), false]);
  });

  test('a limit of 0 is an empty page that promises nothing', async () => {
    const page = json(await send(`${other.url}/v1/batches?limit=0`));
    assert.deepEqual(page, { object: 'list', data: [], first_id: null, last_id: null, has_more: false });
  });

  test('what cannot be asked for is refused by name', async () => {
    const answer = await send(`${other.url}/v1/batches?limit=101`);
    assert.equal(answer.status, 400);
    assert.deepEqual(errorOf(answer), {
      message: "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
      type: 'invalid_request_error',
      param: 'limit',
      code: 'integer_above_max_value',
    });
    for (const query of ['limit=-1', 'limit=x', 'limit=1&limit=2', 'after=x&after=y']) {
      assert.equal((await send(`${other.url}/v1/batches?${query}`)).status, 400, query);
    }
    assert.equal((await send(`${other.url}/v1/batches?after=batch_${'0'.repeat(32)}`)).status, 404);
  });

  test('index keys that lead nowhere are passed over, and never leave an empty page behind', async () => {
    const now = Date.now();
    for (let number = 0; number < 60; number += 1) {
      const id = `batch_${String(number).padStart(32, '0')}`;
      await other.storage.create(KEYS.tenantBatch('default', now - 3_600_000 + number, id), Buffer.from('{}'));
    }
    const page = await other.client().batches.list({ limit: 23 });
    assert.deepEqual([page.data.map(({ id }) => id), page.has_more], [ids, false]);
  });

  test('a list shows each batch as it stands', async () => {
    await end(ids[1] ?? '', 'completed', {}, other);
    await open(other.store, ids[0] ?? '', facts, rules);
    const { data } = await other.client().batches.list({ limit: 3 });
    assert.deepEqual(
      data.map(({ status }) => status),
      ['in_progress', 'completed', 'validating'],
    );
  });
});
