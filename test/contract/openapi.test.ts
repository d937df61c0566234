import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';
import { json, send } from './raw-http.ts';

type Operation = {
  readonly responses: Record<string, { content: Record<string, { schema: object }> }>;
  readonly requestBody?: { readonly content: Record<string, { schema: object }> };
};
type Description = {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
};

let redis: RedisServer;
let api: TestApi;
let description: Description;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url });
  description = json(await send(`${api.url}/openapi.json`)) as unknown as Description;
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

/** What a schema of the description says of a value; null when it fits. */
function problemsOf(schema: object, value: unknown): string | null {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ $id: 'spillway', components: description.components });
  const text = JSON.stringify(schema).replaceAll('"#/components', '"spillway#/components');
  const validate = ajv.compile(JSON.parse(text) as object);
  return validate(value) ? null : ajv.errorsText(validate.errors);
}

const seen = new Set<string>();

/** Sends a request and checks its answer, whatever its status, against the description of its route. */
async function check(method: string, path: string, status: number, request: { path?: string; body?: unknown } = {}) {
  const operation = description.paths[path]?.[method.toLowerCase()];
  assert.ok(operation !== undefined, `${method} ${path} is described`);
  const { body } = request;
  const answer = await fetch(`${api.url}${request.path ?? path}`, {
    method,
    ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
    headers: body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' },
  });
  const text = await answer.text();
  assert.equal(answer.status, status, `${method} ${path}: ${text}`);
  const content = operation.responses[String(status)]?.content;
  assert.ok(content !== undefined, `${method} ${path} describes ${status}`);
  const [[type, described] = ['', undefined]] = Object.entries(content);
  assert.equal(answer.headers.get('content-type')?.split(';')[0], type);
  seen.add(`${method} ${path}`);
  if (type !== 'application/json') return text;
  const value = JSON.parse(text) as { id: string };
  assert.equal(problemsOf(described?.schema ?? {}, value), null, `${method} ${path} ${status}: ${text}`);
  return value;
}

function form(fields: Record<string, string | File>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  return data;
}

test('every route answers as its description says, in success and in failure', async () => {
  const line = JSON.stringify({ custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: {} });
  const upload = form({ purpose: 'batch', file: new File([`${line}\n`], 'a.jsonl') });
  const file = (await check('POST', '/v1/files', 200, { body: upload })) as { id: string };
  await check('POST', '/v1/files', 400, { body: form({ purpose: 'batch' }) });
  await check('POST', '/v1/files', 415, { body: {} });
  await check('GET', '/v1/files', 200);
  await check('GET', '/v1/files', 400, { path: '/v1/files?limit=0' });
  await check('GET', '/v1/files/{id}', 200, { path: `/v1/files/${file.id}` });
  await check('GET', '/v1/files/{id}', 404, { path: '/v1/files/x' });
  await check('GET', '/v1/files/{id}/content', 200, { path: `/v1/files/${file.id}/content` });

  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const batch = (await check('POST', '/v1/batches', 200, { body: { ...order, metadata: { a: 'b' } } })) as {
    id: string;
  };
  await check('POST', '/v1/batches', 400, { body: {} });
  const inline = { ...order, input_file_id: undefined, requests: [JSON.parse(line)] };
  await check('POST', '/v1/batches', 200, { body: inline });
  await check('GET', '/v1/batches', 200);
  await check('GET', '/v1/batches', 400, { path: '/v1/batches?limit=101' });
  await check('GET', '/v1/batches/{id}', 200, { path: `/v1/batches/${batch.id}` });
  await check('GET', '/v1/batches/{id}', 404, { path: '/v1/batches/x' });
  await check('GET', '/v1/batches/{id}/report', 200, { path: `/v1/batches/${batch.id}/report` });
  await check('GET', '/v1/batches/{id}/results', 200, { path: `/v1/batches/${batch.id}/results` });
  await check('GET', '/v1/batches/{id}/results', 400, { path: `/v1/batches/${batch.id}/results?after=x` });
  await check('POST', '/v1/batches/{id}/retry', 409, { path: `/v1/batches/${batch.id}/retry` });
  await check('POST', '/v1/batches/{id}/cancel', 200, { path: `/v1/batches/${batch.id}/cancel` });

  await check('GET', '/v1/models', 200);
  await check('GET', '/v1/models/{id}', 200, { path: '/v1/models/invoices' });
  await check('GET', '/v1/models/{id}', 404, { path: '/v1/models/x' });
  for (const path of ['/v1/chat/completions', '/v1/completions', '/v1/responses']) {
    await check('POST', path, 400, { body: { model: 'invoices' } });
    await check('POST', path, 404, { body: { model: 'nope' } });
    const input = { messages: [{ role: 'user', content: 'a' }], prompt: 'a', input: 'a' };
    // Nothing listens where the models of this API should be.
    await check('POST', path, 503, { body: { model: 'invoices', ...input } });
  }
  await check('DELETE', '/v1/files/{id}', 200, { path: `/v1/files/${file.id}` });
  const described = Object.entries(description.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(new Set(described), seen, 'every route was asked');
});

test('what requests are checked against is what is described', () => {
  const { CreateBatch } = description.components.schemas;
  assert.ok(CreateBatch !== undefined);
  const good = { input_file_id: 'file-x', endpoint: '/v1/responses', completion_window: '24h', more: 1 };
  assert.equal(problemsOf(CreateBatch, good), null);
  for (const bad of [
    { ...good, endpoint: '/v1/embeddings' },
    { ...good, metadata: { a: 1 } },
    { ...good, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, ''])) },
    { ...good, output_expires_after: { anchor: 'created_at', seconds: 1 } },
    { ...good, input_file_id: '' },
  ]) {
    assert.notEqual(problemsOf(CreateBatch, bad), null, JSON.stringify(bad));
  }
});
