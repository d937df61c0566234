import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KEYS, NOTHING_FOUND, RECORD_VERSION } from '@spillway/core';
import { writeFindings } from '@spillway/redis';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';
import { json, send } from './raw-http.ts';

type Described = { readonly content: Record<string, { schema: object }>; readonly headers?: Record<string, object> };
type Operation = {
  readonly responses: Record<string, Described>;
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

type Asked = { readonly path?: string; readonly body?: unknown; readonly headers?: Record<string, string> };

/** Of a stream that does not end, its beginning. */
async function textOf(answer: Response): Promise<string> {
  if (answer.headers.get('content-type') !== 'text/event-stream') return await answer.text();
  const reader = (answer.body ?? assert.fail()).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}

/** Sends a request and checks its answer, whatever its status, against the description of its route. */
async function check(method: string, path: string, status: number, request: Asked = {}) {
  const operation = description.paths[path]?.[method.toLowerCase()];
  assert.ok(operation !== undefined, `${method} ${path} is described`);
  const { body } = request;
  const answer = await fetch(`${api.url}${request.path ?? path}`, {
    method,
    ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
    headers: {
      ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
      ...request.headers,
    },
  });
  const text = await textOf(answer);
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
  const part = { path: `/v1/files/${file.id}/content`, headers: { range: 'bytes=0-3' } };
  assert.equal(await check('GET', '/v1/files/{id}/content', 206, part), line.slice(0, 4));
  await check('GET', '/v1/files/{id}/content', 416, { ...part, headers: { range: 'bytes=9999-' } });

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
  await check('GET', '/v1/batches/events', 200);
  await check('GET', '/v1/batches/{id}/events', 200, { path: `/v1/batches/${batch.id}/events` });
  await check('GET', '/v1/batches/{id}/events', 404, { path: '/v1/batches/x/events' });
  await check('GET', '/v1/batches/{id}/report', 200, { path: `/v1/batches/${batch.id}/report` });
  const facts = { validatedAtMs: 1, total: 1, cascades: ['invoices'], pages: [[0, 1, 0, line.length, 0]] };
  const validated = Buffer.from(JSON.stringify({ v: RECORD_VERSION, ...facts }));
  await api.storage.create(KEYS.validated(batch.id), validated);
  const report = await check('GET', '/v1/batches/{id}/report', 200, { path: `/v1/batches/${batch.id}/report` });
  const { stages } = report as unknown as { stages: { model: string }[] };
  assert.deepEqual(
    stages.map(({ model }) => model),
    ['small', 'large'],
  );
  await check('GET', '/v1/batches/{id}/results', 200, { path: `/v1/batches/${batch.id}/results` });
  await check('GET', '/v1/batches/{id}/results', 400, { path: `/v1/batches/${batch.id}/results?after=x` });
  for (const [way, least] of [
    ['search', ''],
    ['document', 'custom_id=a'],
  ] as const) {
    const path = `/v1/batches/${batch.id}/${way}`;
    await check('GET', `/v1/batches/{id}/${way}`, 200, { path: `${path}?${least}` });
    await check('GET', `/v1/batches/{id}/${way}`, 400, { path: `${path}?${way === 'search' ? 'where=)' : ''}` });
  }
  const reviews = `/v1/batches/${batch.id}/reviews`;
  await check('GET', '/v1/batches/{id}/reviews', 200, { path: reviews });
  await check('POST', '/v1/batches/{id}/reviews', 409, {
    path: reviews,
    body: { custom_id: 'a', verdict: 'accepted' },
  });
  await check('POST', '/v1/batches/{id}/reviews', 400, { path: reviews, body: { custom_id: 'a' } });
  for (const way of ['pause', 'resume'])
    await check('POST', `/v1/batches/{id}/${way}`, 200, { path: `/v1/batches/${batch.id}/${way}` });
  const urgent = { path: `/v1/batches/${batch.id}/priority`, body: { priority: 'high' } };
  await check('POST', '/v1/batches/{id}/priority', 200, urgent);
  await check('POST', '/v1/batches/{id}/priority', 400, { ...urgent, body: { priority: 'low' } });
  await check('POST', '/v1/batches/{id}/retry', 409, { path: `/v1/batches/${batch.id}/retry` });
  const anew = { path: `/v1/batches/${batch.id}/redecide`, body: { accept_at: 0.5 } };
  await check('POST', '/v1/batches/{id}/redecide', 409, anew);
  await check('POST', '/v1/batches/{id}/cancel', 200, { path: `/v1/batches/${batch.id}/cancel` });

  await check('GET', '/v1/tiers', 200);
  await check('GET', '/v1/tiers/events', 200);
  await check('GET', '/v1/models', 200);
  await writeFindings(api.store, 'drafter.small', {
    atMs: 1,
    found: { ...NOTHING_FOUND, scoring: 'echo', said: 'no', problem: 'down' },
  });
  await check('GET', '/v1/models/{id}', 200, { path: '/v1/models/invoices' });
  await check('GET', '/v1/models/{id}', 404, { path: '/v1/models/x' });
  for (const path of ['/v1/chat/completions', '/v1/completions', '/v1/responses']) {
    await check('POST', path, 400, { body: { model: 'invoices' } });
    await check('POST', path, 404, { body: { model: 'nope' } });
    const input = { messages: [{ role: 'user', content: 'a' }], prompt: 'a', input: 'a' };
    // Nothing listens where the models of this API should be.
    await check('POST', path, 503, { body: { model: 'invoices', ...input } });
    await check('POST', path, 503, { body: { model: 'invoices', ...input, stream: true } });
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
    { ...good, input_file_id: undefined },
    { ...good, input_file_id: null },
    { ...good, requests: [{ custom_id: 'a' }] },
    { ...good, input_file_id: null, requests: [] },
  ]) {
    assert.notEqual(problemsOf(CreateBatch, bad), null, JSON.stringify(bad));
  }
  for (const one of [
    { ...good, requests: null },
    { ...good, input_file_id: null, requests: [{ custom_id: 'a' }] },
  ]) {
    assert.equal(problemsOf(CreateBatch, one), null, JSON.stringify(one));
  }
});

test('a direct answer needs its own input, and may be a stream', () => {
  const inputs = {
    '/v1/chat/completions': { messages: [{ role: 'user', content: 'a' }] },
    '/v1/completions': { prompt: 'a' },
    '/v1/responses': { input: 'a' },
  };
  for (const [path, input] of Object.entries(inputs)) {
    const operation = description.paths[path]?.['post'];
    const schema = operation?.requestBody?.content['application/json']?.schema ?? {};
    for (const [other, given] of Object.entries(inputs)) {
      const fits = problemsOf(schema, { model: 'invoices', ...given }) === null;
      assert.equal(fits, other === path, `${path} with ${JSON.stringify(given)}`);
    }
    assert.equal(problemsOf(schema, { model: 'invoices', ...input, stream: true, temperature: 0 }), null);
    assert.notEqual(problemsOf(schema, input), null, 'the model is required');
    assert.notEqual(problemsOf(schema, { model: 'invoices', ...input, stream: 'yes' }), null);
    const { content } = operation?.responses['200'] ?? {};
    assert.deepEqual(Object.keys(content ?? {}), ['application/json', 'text/event-stream'], path);
  }
});

test('what an answer has beside its body is described', () => {
  const response = (method: string, path: string, status: string) =>
    description.paths[path]?.[method]?.responses[status];
  for (const path of ['/v1/batches', '/v1/batches/{id}/retry', '/v1/batches/{id}/redecide']) {
    assert.deepEqual(Object.keys(response('post', path, '200')?.headers ?? {}), ['x-spillway-ignored'], path);
  }
  assert.deepEqual(Object.keys(response('get', '/v1/files/{id}/content', '206')?.headers ?? {}), ['content-range']);
  assert.equal(response('get', '/v1/files/{id}', '206'), undefined);
});

test('a result line is described by the schema that it is written by', () => {
  const { ResultLine, CascadeAnnotation, Results } = description.components.schemas;
  assert.ok(ResultLine !== undefined && CascadeAnnotation !== undefined && Results !== undefined);
  assert.ok(JSON.stringify(Results).includes('#/components/schemas/ResultLine'));
  const usage = { input_tokens: 9, cached_tokens: 0, output_tokens: 2 };
  const stage = {
    model: 'small',
    role: 'drafter',
    ask: 'answer',
    outcome: 'accepted',
    reason: null,
    signal: 'sum_logprob',
    score: -0.1,
    confidence: 0.9,
    calibrated: false,
    accept_at: 0.8,
    attempts: 1,
    usage,
    wait_ms: { queue: 1, call: 2, hand_off: null },
  };
  const cascade = {
    name: 'invoices',
    stage: 1,
    model: 'small',
    role: 'drafter',
    escalated: false,
    response_format: 'json_schema',
    certificate: null,
    trace_id: null,
    stages: [stage],
    wait_ms: { sequential: null, total: 3 },
  };
  const response = { status_code: 200, request_id: 'r', body: {} };
  const line = { id: 'batch_req_1', custom_id: 'a', response, error: null, cascade };
  assert.equal(problemsOf(ResultLine, line), null);
  const { response_format: __, ...older } = cascade;
  assert.equal(problemsOf(ResultLine, { ...line, cascade: older }), null, 'as an older Spillway wrote it');
  assert.notEqual(problemsOf(ResultLine, { ...line, cascade: { ...cascade, response_format: 'xml' } }), null);
  const { cascade: _, ...strict } = line;
  assert.equal(problemsOf(ResultLine, strict), null, 'a line without its annotation');
  assert.notEqual(problemsOf(ResultLine, { ...line, cascade: { ...cascade, stage: 0 } }), null);
  assert.notEqual(
    problemsOf(ResultLine, { ...line, cascade: { ...cascade, stages: [{ ...stage, role: 'judge' }] } }),
    null,
  );
});

test('prices, stages and metadata say what they mean', () => {
  const { Price, ModelStage, ReportedStage, CreateBatch, Batch } = description.components.schemas;
  for (const [name, text] of Object.entries({
    Price: [Price, /US dollars per million tokens/],
    cached: [Price, /cached_input/],
    ModelStage: [ModelStage, /accept_at.*description/],
    ReportedStage: [ReportedStage, /cached_tokens/],
    CreateBatch: [CreateBatch, /spillway\.max_usd.*spillway\.shadow/],
    Batch: [Batch, /spillway\.retry_of/],
  } as Record<string, [object | undefined, RegExp]>)) {
    assert.match(JSON.stringify(text[0]), text[1], name);
  }
});
