import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { requestLine } from '../support/request-line.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';
import { errorOf, json, send, type Answer } from './raw-http.ts';

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

const JSON_TYPE = { 'content-type': 'application/json' };
const BODY = '"endpoint":"/v1/chat/completions","completion_window":"24h"';

const post = (path: string, body: string): Promise<Answer> =>
  send(`${api.url}${path}`, { method: 'POST', headers: JSON_TYPE, body });

const many = (unit: string, count: number): string => Array<string>(count).fill(unit).join(',');
const keys = (count: number): string => `{${Array.from({ length: count }, (_, at) => `"k${at}":"v"`).join(',')}}`;

describe('what is too much is refused by its count', () => {
  const cases: readonly [what: string, body: string, param: string | null, code: string | null][] = [
    ['empty requests', `{${BODY},"requests":[${many('{}', 3_300_000)}]}`, 'requests', 'array_above_max_length'],
    ['empty objects in a request', `{${BODY},"requests":[{"a":[${many('{}', 3_300_000)}]}]}`, null, 'too_many_values'],
    [
      'more requests than there may be',
      `{${BODY},"requests":[${many('{}', 50_001)}]}`,
      'requests',
      'array_above_max_length',
    ],
    ['a request of numbers', `{${BODY},"requests":[{"a":[${many('1', 100_001)}]}]}`, 'requests.0', 'too_many_values'],
    ['labels', `{${BODY},"input_file_id":"f","metadata":${keys(700_000)}}`, null, 'too_many_values'],
    [
      'fewer labels',
      `{${BODY},"input_file_id":"f","metadata":${keys(90_000)}}`,
      'metadata',
      'object_above_max_properties',
    ],
    [
      'a long label',
      `{${BODY},"input_file_id":"f","metadata":{"a":"${'x'.repeat(2e6)}"}}`,
      'metadata.a',
      'string_above_max_length',
    ],
    ['a long id', `{${BODY},"input_file_id":"${'x'.repeat(2e6)}"}`, 'input_file_id', 'string_above_max_length'],
    ['a deep request', `{${BODY},"requests":[{"a":${'['.repeat(200)}${']'.repeat(200)}}]}`, 'requests.0', null],
    ['requests twice', `{${BODY},"requests":[{}],"requests":[{}]}`, 'requests', null],
    ['no requests', `{${BODY},"requests":[]}`, 'requests', 'empty_array'],
    ['requests that are none', `{${BODY},"requests":[{},7]}`, 'requests.1', 'invalid_type'],
    ['broken requests', `{${BODY},"requests":[{},{"a":]}]}`, null, 'invalid_json'],
    ['a hole between requests', `{${BODY},"requests":[{},,{}]}`, null, 'invalid_json'],
  ];
  for (const [what, body, param, code] of cases) {
    test(what, async () => {
      const answer = await post('/v1/batches', body);
      const { status } = answer;
      assert.deepEqual([status, errorOf(answer).param, errorOf(answer).code], [400, param, code]);
      assert.ok(answer.body.length < 1_000);
    });
  }

  test('on every route', async () => {
    const wide = `{"a":[${many('{}', 110_000)}]}`;
    const deep = `{"model":"invoices","messages":[${'['.repeat(200)}${']'.repeat(200)}]}`;
    for (const path of ['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/batches/x/retry']) {
      const answer = await post(path, wide);
      assert.deepEqual([answer.status, errorOf(answer).code], [400, 'too_many_values'], path);
    }
    const answer = await post('/v1/chat/completions', deep);
    assert.deepEqual([answer.status, errorOf(answer).message], [400, 'The body is nested deeper than 128 levels.']);
  });

  test('several at once: memory grows by their texts, not by what is in them', async () => {
    const body = `{${BODY},"requests":[${many('{}', 3_300_000)}]}`;
    await post('/v1/batches', body);
    const until = process.memoryUsage().heapUsed;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().heapUsed)), 5);
    const answers = await Promise.all(Array.from({ length: 4 }, () => post('/v1/batches', body)));
    clearInterval(watch);
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([400]));
    // Parsed they would take 4 x 180 MB; their texts take 40.
    assert.ok(most - until < 200e6, `${Math.round((most - until) / 1e6)} MB`);
  });
});

test('as many inline requests as a client may have make one batch, byte by byte what came', async () => {
  const lines = Array.from({ length: 20_000 }, (_, at) => requestLine('a', `doc-${at}`, { model: 'invoices' }));
  const answer = await post('/v1/batches', `{"requests" : [${lines.join(' ,\n')}],${BODY}, "requests2":[1]}`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['x-spillway-ignored'], 'requests2');
  const content = await send(`${api.url}/v1/files/${String(json(answer)['input_file_id'])}/content`);
  assert.equal(content.body.toString(), `${lines.map((line) => JSON.stringify(JSON.parse(line))).join('\n')}\n`);
});

test('a label may have any name, and is kept', async () => {
  const labels = '{"__proto__":"x","constructor":"y","toString":"z"}';
  const made = await post('/v1/batches', `{${BODY},"input_file_id":"f","metadata":${labels}}`);
  assert.equal(made.status, 200);
  const { id } = json(made);
  for (const answer of [made, await send(`${api.url}/v1/batches/${String(id)}`), await send(`${api.url}/v1/batches`)])
    assert.ok(answer.body.includes(`"metadata":${labels}`), answer.body.toString());
  for (const [value, code] of [
    ['7', 'invalid_type'],
    [`"${'x'.repeat(513)}"`, 'string_above_max_length'],
  ]) {
    const refused = await post('/v1/batches', `{${BODY},"input_file_id":"f","metadata":{"__proto__":${value}}}`);
    assert.deepEqual(
      [refused.status, errorOf(refused).param, errorOf(refused).code],
      [400, 'metadata.__proto__', code],
    );
  }
  const ids = '__proto__ constructor toString'.split(' ');
  const requests = ids.map((one) => requestLine('a', one, { model: one })).join(',');
  assert.equal((await post('/v1/batches', `{${BODY},"requests":[${requests}]}`)).status, 200);
  for (const model of ids) {
    const body = `{"model":"${model}","messages":[{"role":"user","content":"a"}]}`;
    assert.equal(errorOf(await post('/v1/chat/completions', body)).code, 'model_not_found');
    assert.equal((await send(`${api.url}/v1/batches?${model}=1&limit=1`, { headers: { [model]: 'x' } })).status, 200);
  }
});

test('a body that drips is not waited for, on any route', async () => {
  await using impatient = await startTestApi({ redisUrl: redis.url, limits: { bodyMs: 300 } });
  const drip = async (path: string, type: string): Promise<void> => {
    const headers = { 'content-type': type, 'content-length': 1_000 };
    const call = httpRequest(`${impatient.url}${path}`, { method: 'POST', agent: false, headers });
    call.on('error', () => undefined);
    const timer = setInterval(() => call.write(' '), 50);
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    clearInterval(timer);
    call.destroy();
    const { error } = JSON.parse(Buffer.concat(chunks).toString()) as { error: { code: string } };
    assert.deepEqual([response.statusCode, error.code], [408, 'request_timeout'], path);
  };
  const paths = [
    '/v1/batches',
    '/v1/batches/x/retry',
    '/v1/batches/x/redecide',
    '/v1/batches/x/cancel',
    '/v1/chat/completions',
    '/v1/responses',
  ];
  await Promise.all(paths.flatMap((path) => [drip(path, 'application/json'), drip(path, 'text/plain')]));
});

test('bodies are held up to a bound, of which one tenant leaves something to the others', async () => {
  const tenants = ['a', 'b'].map((tenant) => ({ key: tenant, tenant }));
  await using shared = await startTestApi({ redisUrl: redis.url, keys: tenants });
  const begun = (key: string, bytes: number) => {
    const headers = { ...JSON_TYPE, authorization: `Bearer ${key}`, 'content-length': 11_000_000 };
    const call = httpRequest(`${shared.url}/v1/batches`, { method: 'POST', agent: false, headers });
    call.on('error', () => undefined);
    call.write(Buffer.alloc(bytes, ' '));
    return call;
  };
  const held = [begun('a', 9_900_000), begun('a', 9_900_000)];
  await delay(500);
  const third = begun('a', 9_900_000);
  const [refused] = (await once(third, 'response')) as [IncomingMessage];
  assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [429, '1']);
  const other = await shared.client('b').batches.create({
    input_file_id: 'x'.repeat(200),
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  assert.equal(other.status, 'validating');
  const large = await send(`${shared.url}/v1/batches`, {
    method: 'POST',
    headers: { ...JSON_TYPE, authorization: 'Bearer b' },
    body: `{${BODY},"requests":[{"a":"${'x'.repeat(9_000_000)}"}]}`,
  });
  assert.equal(large.status, 200);
  for (const call of [...held, third]) call.destroy();
});

test('one tenant leaves places for direct answers to the others', async () => {
  const silent = createServer(() => undefined);
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  let arrived = 0;
  silent.on('request', () => (arrived += 1));
  const base = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`;
  const yaml = `
models:
  small: { base_url: ${base}, model: s }
  large: { base_url: ${base}, model: l }
cascades:
  invoices: { drafter: small, expert: large, accept_at: 0.9 }
`;
  const tenants = ['a', 'b', 'c'].map((tenant) => ({ key: tenant, tenant }));
  await using shared = await startTestApi({ redisUrl: redis.url, keys: tenants, yaml });
  const gone = new AbortController();
  const ask = async (key: string): Promise<number | null> => {
    const response = await fetch(`${shared.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...JSON_TYPE, authorization: `Bearer ${key}` },
      body: '{"model":"invoices","messages":[{"role":"user","content":"a"}]}',
      signal: gone.signal,
    }).catch(() => null);
    if (response !== null) assert.ok(Number(response.headers.get('retry-after')) > 0);
    return response?.status ?? null;
  };
  const settled: (number | null)[] = [];
  const all = (key: string): Promise<number | null>[] =>
    Array.from({ length: 64 }, async () => {
      const status = await ask(key);
      if (status !== null) settled.push(status);
      return status;
    });
  const asked = all('a');
  while (settled.length < 32) await delay(10);
  asked.push(...all('b'));
  while (settled.length < 32 + 48) await delay(10);
  asked.push(...all('c'));
  while (settled.length < 32 + 48 + 56) await delay(10);
  assert.deepEqual(new Set(settled), new Set([429]));
  assert.ok(arrived > 0);
  gone.abort();
  await Promise.all(asked);
  silent.closeAllConnections();
  silent.close();
});
