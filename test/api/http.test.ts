import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { NOTHING_FOUND, serverDigest } from '@spillway/core';
import { writeFindings } from '@spillway/redis';
import OpenAI from 'openai';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';
import { errorOf, json, send } from './raw-http.ts';

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

const REQUEST_ID = /^req_[0-9a-f]{24}$/;

/** What comes back for these bytes, until the server closes the connection. */
async function talk(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.write(bytes);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test('the models are the cascades', async () => {
  const models = await api.client().models.list();
  const created = 1_700_000_000;
  const shown = { object: 'model', created, owned_by: 'spillway' };
  assert.deepEqual(
    models.data.map(({ id, object, created: at, owned_by }) => ({ id, object, created: at, owned_by })),
    [
      { id: 'invoices', ...shown },
      { id: 'letters', ...shown },
    ],
  );
  // Beside OpenAI's keys: what the cascade is made of.
  const { cascade } = models.data[0] as unknown as { cascade: unknown };
  assert.deepEqual(cascade, {
    stages: [
      {
        name: 'small',
        model: 's',
        server: serverDigest('http://127.0.0.1:9/v1'),
        role: 'drafter',
        ask: 'answer',
        price: { input: 0.05, cached_input: 0.05, output: 0.2 },
        signal: { name: 'sum_logprob' },
        calibration: null,
        accept_at: 0.9,
      },
      {
        name: 'large',
        model: 'l',
        server: serverDigest('http://127.0.0.1:9/v1'),
        role: 'expert',
        ask: 'answer',
        price: null,
        signal: null,
        calibration: null,
        accept_at: null,
      },
    ],
  });
  assert.deepEqual({ ...(await api.client().models.retrieve('letters')) }, models.data[1]);
  for (const name of ['nope', 'small', '__proto__', 'constructor', 'toString']) {
    const answer = await send(`${api.url}/v1/models/${name}`);
    assert.equal(answer.status, 404);
    assert.deepEqual(errorOf(answer), {
      message: `The model '${name}' does not exist. Models are 'invoices' and 'letters'.`,
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    });
  }
});

test('what the checks of the models found is shown per stage, and null where nothing is known', async () => {
  await using own = await startTestApi({ redisUrl: redis.url });
  const serversOf = (model: object): unknown => (model as { spillway: { servers: unknown } }).spillway.servers;
  const unknown = { checked_at: null, found: null };
  const [small, large] = [
    { name: 'small', role: 'drafter' },
    { name: 'large', role: 'expert' },
  ];
  assert.deepEqual(serversOf(await own.client().models.retrieve('invoices')), [
    { ...small, ...unknown },
    { ...large, ...unknown },
  ]);
  const found = { ...NOTHING_FOUND, reachable: true, known: true, ms: 12, log_probs: true, refused: ['max_tokens'] };
  await writeFindings(own.store, 'drafter.small', { atMs: 1_700_000_123_456, found });
  // In no form that is known here, as another version may write it.
  await own.store.client.set(own.store.keys.check('expert.large'), '{"atMs":1,"found":{"v":9}}');
  const shown = [
    { ...small, checked_at: 1_700_000_123, found },
    { ...large, ...unknown },
  ];
  assert.deepEqual(serversOf(await own.client().models.retrieve('invoices')), shown);
  const { data } = await own.client().models.list();
  assert.deepEqual(data.map(serversOf), [shown, shown]);
  const reasons = [
    [{ reachable: false, known: null }, 'not_reachable'],
    [{ reachable: true, known: false }, 'model_unknown'],
    [{ reachable: true, known: null }, 'refused'],
  ] as const;
  for (const [seen, problem] of reasons) {
    const whole = {
      ...found,
      ...seen,
      said: 'not at 10.0.0.5',
      problem: 'no "a", but secret-b: see models.a.base_url',
    };
    await writeFindings(own.store, 'drafter.small', { atMs: 1_700_000_123_456, found: whole });
    assert.deepEqual(
      serversOf(await own.client().models.retrieve('invoices')),
      [{ ...small, checked_at: 1_700_000_123, found: { ...found, ...seen, problem } }, shown[1]],
      'addresses, keys of the configuration and other models are not for tenants',
    );
  }
});

test('the models are shown while Redis is away, too', async () => {
  const other = await startRedis();
  await using own = await startTestApi({ redisUrl: other.url });
  await other.kill();
  assert.equal((await own.client().models.list()).data.length, 2);
  await other.stop();
});

test('a cascade of three stages is shown with all of them, and with the price of cached tokens', async () => {
  const yaml = `
models:
  small: { base_url: http://127.0.0.1:9/v1, model: s, price: { input: 1, cached_input: 0.25, output: 4 } }
  medium: { base_url: http://127.0.0.1:9/v1, model: m }
  large: { base_url: http://127.0.0.1:9/v1, model: l }
cascades:
  contracts:
    stages:
      - { model: small, confidence: { signal: sum_logprob }, accept_at: 0.95 }
      - { model: medium, confidence: { signal: min_logprob }, accept_at: 0.9 }
      - { model: large }
`;
  await using three = await startTestApi({ redisUrl: redis.url, yaml });
  const model = await three.client().models.retrieve('contracts');
  const { cascade } = model as unknown as { cascade: { stages: Record<string, unknown>[] } };
  assert.deepEqual(
    cascade.stages.map(({ name, role, accept_at }) => [name, role, accept_at]),
    [
      ['small', 'drafter', 0.95],
      ['medium', 'drafter', 0.9],
      ['large', 'expert', null],
    ],
  );
  assert.deepEqual(cascade.stages[0]?.['price'], { input: 1, cached_input: 0.25, output: 4 });
  assert.deepEqual(cascade.stages[1]?.['signal'], { name: 'min_logprob' });
});

test('the routes answer without /v1 too', async () => {
  const client = new OpenAI({ apiKey: 'none', baseURL: api.url, maxRetries: 0 });
  assert.equal((await client.models.list()).data.length, 2);
  assert.deepEqual((await client.batches.list()).data, []);
  assert.deepEqual((await client.files.list()).data, []);
});

test('every answer has a request id of its own, which the SDK finds', async () => {
  const seen = new Set<string | undefined>();
  for (const path of [
    '/v1/models',
    '/v1/nope',
    '/v1/batches/x',
    '/health/live',
    '/v1/files?limit=x',
    '/v1/files/%zz',
  ]) {
    const answer = await send(`${api.url}${path}`, { headers: { 'x-request-id': 'mine', 'request-id': 'mine' } });
    assert.match(String(answer.headers['x-request-id']), REQUEST_ID, path);
    seen.add(String(answer.headers['x-request-id']));
  }
  assert.equal(seen.size, 6);
  assert.match((await api.client().models.retrieve('letters'))._request_id ?? '', REQUEST_ID);
});

test('an unknown route is a 404 in the envelope, whatever comes with it', async () => {
  for (const path of [
    '/console',
    '/console/nope',
    '/v1',
    '/v1/',
    '/v1/nope',
    '/v2/batches',
    '/v1/batches/a/b/c',
    '//',
    '/v1//files',
  ]) {
    const answer = await send(`${api.url}${path}?secret=1`);
    assert.equal(answer.status, 404, path);
    assert.deepEqual(errorOf(answer), {
      message: `Invalid URL (GET ${path})`,
      type: 'invalid_request_error',
      param: null,
      code: 'unknown_url',
    });
  }
  assert.equal((await send(`${api.url}/v1/files/`)).status, 404);
  const odd = await send(`${api.url}/v1/nope`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{',
  });
  assert.equal(odd.status, 404);
  const long = await send(`${api.url}/v1/batches/${'x'.repeat(5_000)}`);
  assert.equal(long.status, 404);
  assert.ok(long.body.length < 1_000);
});

test('a wrong method is a 405 that names the right ones', async () => {
  const cases: [string, string, string][] = [
    ['PUT', '/v1/files', 'POST, GET, HEAD'],
    ['PATCH', '/v1/files/x', 'GET, HEAD, DELETE'],
    ['POST', '/v1/files/x/content', 'GET, HEAD'],
    ['DELETE', '/v1/batches/x', 'GET, HEAD'],
    ['GET', '/v1/batches/x/cancel', 'POST'],
    ['HEAD', '/v1/batches/x/cancel', 'POST'],
    ['DELETE', '/batches', 'POST, GET, HEAD'],
    ['POST', '/v1/models', 'GET, HEAD'],
  ];
  for (const [method, path, allow] of cases) {
    const answer = await send(`${api.url}${path}`, { method });
    assert.deepEqual([answer.status, answer.headers.allow], [405, allow], `${method} ${path}`);
    if (method !== 'HEAD') assert.equal(errorOf(answer).code, 'method_not_supported');
  }
});

test('HEAD is GET without the body', async () => {
  const [head, get] = [await send(`${api.url}/v1/models`, { method: 'HEAD' }), await send(`${api.url}/v1/models`)];
  assert.equal(head.status, 200);
  assert.equal(head.headers['content-length'], String(get.body.length));
  assert.equal(head.body.length, 0);
});

test('a broken address is a 400 in the envelope', async () => {
  const answer = await send(`${api.url}/v1/files/%zz`);
  assert.equal(answer.status, 400);
  assert.equal(errorOf(answer).type, 'invalid_request_error');
});

test('what is no HTTP is answered in the envelope, and the connection closed', async () => {
  for (const [bytes, status] of [
    ['hello\r\n\r\n', 400],
    ['GET /v1/models HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n', 400],
    [`GET /v1/models HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  ] as const) {
    const answer = await talk(bytes);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), bytes.slice(0, 40));
    assert.match(answer, /x-request-id: req_[0-9a-f]{24}\r\n/);
    const { error } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as { error: object };
    assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
  }
  assert.equal((await send(`${api.url}/v1/models`)).status, 200);
});

test('a sender that neither reads nor hangs up holds no connection', { timeout: 20_000 }, async () => {
  const taken = Promise.withResolvers<Socket>();
  const take = (message: unknown): void => taken.resolve((message as { socket: Socket }).socket);
  subscribe('net.server.socket', take);
  const silent = connect({ port: Number(new URL(api.url).port), host: '127.0.0.1', allowHalfOpen: true });
  try {
    silent.pause();
    silent.write('hello\r\n\r\n');
    const served = await taken.promise;
    await once(served, 'close');
    assert.equal(silent.closed, false);
  } finally {
    unsubscribe('net.server.socket', take);
    silent.destroy();
  }
});

test('a request that says nothing of the sort is not understood as JSON', async () => {
  const answer = await send(`${api.url}/v1/batches`, { method: 'POST' });
  assert.equal(answer.status, 400);
  assert.equal(json(answer)['error'] !== undefined, true);
});

test('pages of allowed origins may call, and read what they need; others may not', async () => {
  await using open = await startTestApi({ redisUrl: redis.url, corsOrigins: ['https://console.example'] });
  const ask = (origin: string, more: Record<string, string> = {}, method = 'GET') =>
    send(`${open.url}/v1/batches`, { method, headers: { origin, ...more } });
  const preflight = await ask(
    'https://console.example',
    {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
    'OPTIONS',
  );
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], 'https://console.example');
  assert.match(String(preflight.headers['access-control-allow-headers']), /idempotency-key/);
  assert.match(String(preflight.headers['access-control-allow-methods']), /DELETE/);
  const answer = await ask('https://console.example');
  assert.equal(answer.status, 200);
  assert.match(String(answer.headers['access-control-expose-headers']), /x-request-id/);
  assert.match(String(answer.headers['access-control-expose-headers']), /x-spillway-ignored/);
  const error = await send(`${open.url}/v1/nope`, { headers: { origin: 'https://console.example' } });
  assert.deepEqual([error.status, error.headers['access-control-allow-origin']], [404, 'https://console.example']);
  const other = await ask('https://evil.example');
  assert.equal(other.headers['access-control-allow-origin'], undefined);
});

test('without keys, a page that a browser shows cannot call what listens on its machine', async () => {
  const port = new URL(api.url).port;
  for (const headers of [
    { origin: 'https://evil.example' },
    { host: `evil.example:${port}` },
    { host: 'evil.example', origin: 'http://evil.example' },
    { origin: 'null' },
  ]) {
    const answer = await send(`${api.url}/v1/batches`, { headers });
    assert.equal(answer.status, 403, JSON.stringify(headers));
    assert.equal(errorOf(answer).code, 'foreign_origin');
  }
  for (const headers of [
    {},
    { host: `localhost:${port}` },
    { origin: `http://localhost:3000` },
    { host: '[::1]:80' },
  ]) {
    assert.equal((await send(`${api.url}/v1/batches`, { headers })).status, 200, JSON.stringify(headers));
  }
  assert.equal((await send(`${api.url}/v1/batches`, { method: 'OPTIONS' })).status, 405);
});

test('two Host headers are a 400, whatever they say', async () => {
  for (const hosts of ['Host: localhost\r\nHost: localhost', 'Host: localhost\r\nhost: evil.example']) {
    for (const path of ['/v1/models', '/health/live', '/nope']) {
      const answer = await talk(`GET ${path} HTTP/1.1\r\n${hosts}\r\nConnection: close\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 400 /, hosts);
      assert.match(answer, /several Host headers/);
    }
  }
});
