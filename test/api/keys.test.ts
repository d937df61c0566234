import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { keyLines, startTestApi, type TestApi, type TestKey } from './api-under-test.ts';
import { errorOf, json, send, type Answer } from './raw-http.ts';

const KEYS: TestKey[] = [
  { key: 'sk-spillway-acme', tenant: 'acme' },
  { key: 'sk-spillway-other', tenant: 'other' },
  { key: 'sk-spillway-boss', tenant: 'boss', role: 'admin' },
];

const LINE = '{"custom_id":"a"}\n';

const ROUTES: [string, string][] = [
  ['POST', '/files'],
  ['GET', '/files'],
  ['GET', '/files/x'],
  ['DELETE', '/files/x'],
  ['GET', '/files/x/content'],
  ['POST', '/batches'],
  ['GET', '/batches'],
  ['GET', '/batches/x'],
  ['POST', '/batches/x/cancel'],
  ['POST', '/batches/x/retry'],
  ['POST', '/batches/x/redecide'],
  ['GET', '/batches/x/results'],
  ['GET', '/batches/x/report'],
  ['POST', '/chat/completions'],
  ['POST', '/completions'],
  ['POST', '/responses'],
  ['GET', '/models'],
  ['GET', '/models/invoices'],
];

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url, keys: KEYS });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

const ask = (method: string, path: string, key: string | null): Promise<Answer> =>
  send(`${api.url}${path}`, { method, headers: key === null ? {} : { authorization: `Bearer ${key}` } });

test('every route refuses a missing and a wrong key, with and without /v1', async () => {
  for (const [method, path] of ROUTES) {
    for (const prefix of ['/v1', '']) {
      for (const headers of [
        {},
        { authorization: 'Bearer wrong' },
        { authorization: 'Basic YTpi' },
        { authorization: 'Bearer ' },
      ]) {
        const answer = await send(`${api.url}${prefix}${path}`, { method, headers });
        assert.equal(answer.status, 401, `${method} ${path}`);
        assert.equal(answer.headers['www-authenticate'], 'Bearer');
        assert.equal(errorOf(answer).code, 'invalid_api_key');
        assert.ok(!answer.body.toString().includes('wrong'));
      }
    }
  }
  await assert.rejects(api.client('wrong').models.list(), OpenAI.AuthenticationError);
});

test('a request without a right to what it asks for is a line without a tenant, and counted by its reason', async () => {
  const count = async (): Promise<Record<string, number>> => {
    const text = (await ask('GET', '/metrics', 'sk-spillway-boss')).body.toString();
    const found = text.matchAll(/^cascade_requests_refused_total\{.*status_code="(\d+)",reason="(\w+)"\} (\d+)$/gm);
    return Object.fromEntries([...found].map(([, status, reason, value]) => [`${status} ${reason}`, Number(value)]));
  };
  const counted = await count();
  const at = api.lines.length;
  await ask('GET', '/v1/batches/batch_somebody-elses', null);
  await ask('POST', '/v1/files', 'wrong');
  await ask('GET', '/internal/scaling/drafter/small', 'sk-spillway-acme');
  const countedAgain = await count();
  const more = Object.entries(countedAgain).map(([labels, value]) => [labels, value - (counted[labels] ?? 0)]);
  assert.deepEqual(Object.fromEntries(more), {
    '401 no_key': 1,
    '401 unknown_key': 1,
    '403 not_admin': 1,
    '403 foreign_page': 0,
  });
  const lines = api.lines.slice(at).filter(({ refused }) => refused !== undefined);
  const expected = [
    { method: 'GET', route: '/v1/batches/:id', refused: 'no_key', status: 401 },
    { method: 'POST', route: '/v1/files', refused: 'unknown_key', status: 401 },
    { method: 'GET', route: '/internal/scaling/:role/:model', refused: 'not_admin', status: 403 },
  ].map((line) => ({ level: 'info', msg: 'request', service: 'api', from: '127.0.0.1', ...line }));
  assert.deepEqual(
    lines.map(({ time: _time, pid: _pid, ms: _ms, request: _request, ...said }) => said),
    expected,
  );
});

test('probes need no key', async () => {
  assert.equal((await send(`${api.url}/health/live`)).status, 200);
  assert.equal((await send(`${api.url}/health/ready`)).status, 200);
});

test("another tenant's file or batch is answered like one that never was", async () => {
  const acme = api.client('sk-spillway-acme');
  const file = await acme.files.create({ file: await toFile(Buffer.from(LINE), 'a.jsonl'), purpose: 'batch' });
  const batch = await acme.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  for (const { key } of KEYS.slice(1)) {
    const paths: [string, string, string][] = [
      ['GET', '/v1/files/', file.id],
      ['DELETE', '/v1/files/', file.id],
      ['GET', '/v1/files/*/content', file.id],
      ['GET', '/v1/files?after=', file.id],
      ['GET', '/v1/batches/', batch.id],
      ['POST', '/v1/batches/*/cancel', batch.id],
      ['POST', '/v1/batches/*/retry', batch.id],
      ['POST', '/v1/batches/*/redecide', batch.id],
      ['GET', '/v1/batches/*/results', batch.id],
      ['GET', '/v1/batches/*/report', batch.id],
      ['GET', '/v1/batches?after=', batch.id],
    ];
    for (const [method, path, id] of paths) {
      const at = (some: string): string => (path.includes('*') ? path.replace('*', some) : `${path}${some}`);
      const unknown = id.replaceAll(/[0-9a-f](?=[0-9a-f]*$)/g, '0');
      const [theirs, nobodys] = [await ask(method, at(id), key), await ask(method, at(unknown), key)];
      assert.deepEqual([theirs.status, nobodys.status], [404, 404], `${method} ${path}`);
      assert.equal(theirs.body.toString().replaceAll(id, ''), nobodys.body.toString().replaceAll(unknown, ''));
    }
    const client = api.client(key);
    assert.deepEqual([(await client.files.list()).data, (await client.batches.list()).data], [[], []]);
  }
  assert.equal((await acme.files.retrieve(file.id)).id, file.id);
  assert.equal((await acme.batches.retrieve(batch.id)).status, 'validating');
});

test('an Idempotency-Key is of its tenant', async () => {
  const body = { input_file_id: 'file-x', endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const [acme, again, other] = await Promise.all(
    ['sk-spillway-acme', 'sk-spillway-acme', 'sk-spillway-other'].map((key) =>
      api.client(key).batches.create(body, { headers: { 'Idempotency-Key': 'k' } }),
    ),
  );
  assert.equal(acme?.id, again?.id);
  assert.notEqual(acme?.id, other?.id);
});

test('a tenant that has as much as its key allows is asked to come again', async () => {
  const limits = { open_batches: 2, stored_bytes: 100 };
  await using limited = await startTestApi({
    redisUrl: redis.url,
    keys: [
      { key: 'sk-small', tenant: 'small', limits },
      { key: 'sk-few', tenant: 'few', limits: { queued_documents: 0 } },
      { key: 'sk-large', tenant: 'large' },
    ],
  });
  const upload = async (key: string, bytes: number): Promise<OpenAI.FileObject> => {
    const text = `${JSON.stringify({ custom_id: 'x'.repeat(bytes - 17) })}\n`;
    return limited.client(key).files.create({ file: await toFile(Buffer.from(text), 'a.jsonl'), purpose: 'batch' });
  };
  const create = (key: string, idempotencyKey = ''): Promise<OpenAI.Batch> =>
    limited
      .client(key)
      .batches.create(
        { input_file_id: 'file-x', endpoint: '/v1/chat/completions', completion_window: '24h' },
        { headers: { 'Idempotency-Key': idempotencyKey } },
      );
  const isRefused = (error: unknown): boolean => {
    assert.ok(error instanceof OpenAI.RateLimitError, String(error));
    assert.equal(error.code, 'tenant_limit_reached');
    assert.ok(Number(error.headers.get('retry-after')) > 0);
    return true;
  };
  const namesFile = (error: unknown): boolean => {
    assert.match(String(error), /its files take as many bytes as are allowed, and 'a\.jsonl' does not fit/);
    return isRefused(error);
  };
  const first = await upload('sk-small', 60);
  await assert.rejects(upload('sk-small', 60), namesFile);
  assert.equal((await limited.client('sk-small').files.list()).data.length, 1, 'nothing stays of what was refused');
  await limited.client('sk-small').files.delete(first.id);
  await upload('sk-small', 60);
  await create('sk-small', 'one');
  const { id } = await create('sk-small');
  await assert.rejects(create('sk-small'), isRefused);
  await create('sk-small', 'one');
  await limited.client('sk-small').batches.cancel(id);
  await create('sk-small');
  await assert.rejects(create('sk-few'), isRefused);
  for (let more = 0; more < 4; more += 1) await create('sk-large');
  await upload('sk-large', 1_000);
});

test('a changed key file is read again; a broken one changes nothing', async () => {
  const replace = async (text: string): Promise<void> => {
    await writeFile(`${api.keyFile}.new`, text);
    await rename(`${api.keyFile}.new`, api.keyFile);
    await delay(1_100);
  };
  const statusOf = async (key: string): Promise<number> => (await ask('GET', '/v1/models', key)).status;
  await replace(keyLines([...KEYS.slice(1), { key: 'sk-spillway-new', tenant: 'new' }]));
  assert.deepEqual([await statusOf('sk-spillway-new'), await statusOf('sk-spillway-acme')], [200, 401]);
  await replace('broken\n');
  assert.deepEqual([await statusOf('sk-spillway-new'), await statusOf('sk-spillway-acme')], [200, 401]);
  await replace(keyLines(KEYS));
  assert.deepEqual([await statusOf('sk-spillway-new'), await statusOf('sk-spillway-acme')], [401, 200]);
  assert.equal(json(await ask('GET', '/v1/models', 'sk-spillway-acme'))['object'], 'list');
});

test('what shows more than one tenant needs the admin role: metrics, and the scaling signal', async () => {
  const get = (path: string, key?: string) =>
    fetch(`${api.url}${path}`, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } });
  for (const path of ['/metrics', '/internal/scaling/drafter/small']) {
    assert.equal((await get(path)).status, 401);
    assert.equal((await get(path, 'sk-spillway-acme')).status, 403);
    assert.equal((await get(path, 'sk-spillway-boss')).status, 200);
  }
  const text = await (await get('/metrics', 'sk-spillway-boss')).text();
  assert.match(text, /^http_server_request_duration_seconds_count\{.*http_route="\/metrics".*\} \d+$/m);
});
