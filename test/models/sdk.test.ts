import assert from 'node:assert/strict';
import { EventEmitter, getEventListeners, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ENDPOINT_URLS, type EndpointUrl, type JsonObject } from '@spillway/core';
import { ModelCheck } from '@spillway/models';
import { always, completed, failed, KEY, openAt, setUp } from '../support/model-client.ts';

const BODIES: Readonly<Record<EndpointUrl, (prompt: string) => JsonObject>> = {
  '/v1/chat/completions': (prompt) => ({ messages: [{ role: 'user', content: prompt }] }),
  '/v1/completions': (prompt) => ({ prompt }),
  '/v1/responses': (prompt) => ({ input: prompt }),
};

const ANSWER = JSON.stringify({ choices: [{ message: { content: 'yes' }, finish_reason: 'stop' }] });

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

/** A server of any addresses that does nothing by itself. */
async function serve(t: TestContext, answer: Serve) {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

test('a request is made once for each path, and each call sends its own body and trace and no other', async (t) => {
  const { server, ask } = await setUp(t);
  const traceOf = (at: number): string => `00-${String(at).padStart(32, '1')}-b7ad6b7169203331-01`;
  const calls = Array.from({ length: 60 }, (_, at) => {
    const endpoint = ENDPOINT_URLS[at % ENDPOINT_URLS.length] ?? '/v1/responses';
    const body = { ...BODIES[endpoint](`prompt ${at}`), user: `user ${at}` };
    return ask('', { endpoint, body, ...(at % 2 === 0 ? { traceparent: traceOf(at) } : {}) });
  });
  for (const call of calls) completed(await call);
  assert.equal(server.requests.length, 60);
  const seen = server.requests.map(({ body, headers }) => {
    const at = Number(/user (\d+)/.exec(JSON.stringify(body))?.[1]);
    const endpoint = ENDPOINT_URLS[at % ENDPOINT_URLS.length] ?? '/v1/responses';
    for (const [name, value] of Object.entries(BODIES[endpoint](`prompt ${at}`))) assert.deepEqual(body[name], value);
    assert.equal(headers['traceparent'], at % 2 === 0 ? traceOf(at) : undefined);
    assert.equal(headers['content-length'], String(Buffer.byteLength(JSON.stringify(body))));
    assert.deepEqual(
      [headers['content-type'], headers.accept, headers.authorization, headers['user-agent']],
      ['application/json', 'application/json', `Bearer ${KEY}`, 'spillway'],
    );
    return at;
  });
  assert.deepEqual(new Set(seen).size, 60);
});

test('the address is what the SDK makes of the base URL and the path', async (t) => {
  const urls: (string | undefined)[] = [];
  const { origin } = await serve(t, (request, response) => {
    urls.push(request.url);
    request.resume();
    response.end(ANSWER);
  });
  for (const base of ['/v1', '/v1/', '/a%20b/v1', '/v1?api-version=2&x=%2F']) {
    completed(await openAt(t, origin + base).ask('a'));
    completed(await openAt(t, origin + base).ask('a'));
  }
  const paths = ['/v1/chat/completions', '/v1/chat/completions', '/a%20b/v1/chat/completions'];
  const all = [...paths, '/v1/chat/completions?api-version=2&x=%2F'];
  assert.deepEqual(
    urls,
    all.flatMap((path) => [path, path]),
  );
});

test('a look for a server and a check of its model go to the same addresses as calls', async (t) => {
  const urls = new Set<string | undefined>();
  const { origin } = await serve(t, (request, response) => {
    urls.add(request.url);
    request.resume();
    response.end(ANSWER);
  });
  const { signal } = new AbortController();
  for (const [base, query] of [
    ['/v1', ''],
    ['/v1/', ''],
    ['/a%20b/v1', ''],
    ['/v1', '?api-version=2&x=%2F'],
  ] as const) {
    const baseURL = origin + base + query;
    assert.equal(await openAt(t, baseURL).client.look(signal), null);
    const model = { name: 'small', model: 's', baseURL, apiKey: null, timeoutMs: 5_000 };
    await using check = new ModelCheck({ ...model, prepare: ({ body }) => body });
    await check.begin(signal);
    const root = base.replace(/\/$/, '');
    const paths = ['/models', '/chat/completions'].map((path) => root + path + query);
    assert.deepEqual(urls, new Set(paths));
    urls.clear();
  }
});

test('a call is sent once, whatever the server says about retries, and its error keeps what the server said', async (t) => {
  const headers = { 'x-should-retry': 'true', 'retry-after-ms': '7', 'x-request-id': `r ${KEY}` };
  let answers = 0;
  const statuses = [408, 409, 429, 500, 503];
  const { origin } = await serve(t, (request, response) => {
    request.resume();
    response.writeHead(statuses[answers++] ?? 200, { 'content-type': 'application/json', ...headers });
    response.end('{"error":{"message":"busy","code":"x"},"beside":1}');
  });
  const { ask } = openAt(t, `${origin}/v1`);
  for (const [at, status] of statuses.entries()) {
    assert.deepEqual(failed(await ask('a')), {
      kind: 'http',
      status,
      body: { error: { message: 'busy', code: 'x' }, beside: 1 },
      retryAfterMs: 7,
      requestId: 'r [redacted]',
    });
    assert.equal(answers, at + 1);
  }
});

/** How far an answer has come when its call ends. */
const PLACES: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'before the answer': () => {},
  'behind its head': (response) => response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders(),
  'in the middle of its body': (response) => void response.write(ANSWER.slice(0, 20)),
  'in the middle of a stream': (response) => void response.write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
  'in the middle of an error': (response) => void response.writeHead(500, { 'content-length': 100 }).write('{"error'),
};

for (const [place, answer] of Object.entries(PLACES)) {
  test(`${place} a signal ends a call and its connection, and so does the deadline`, async (t) => {
    const came = new EventEmitter();
    const { origin } = await serve(t, (request, response) => {
      request.resume();
      answer(response);
      response.once('close', () => came.emit('closed'));
      came.emit('request');
    });
    const { ask } = openAt(t, `${origin}/v1`);
    const streamed = place.includes('stream') ? { onEvent: () => undefined } : {};
    const timersBefore = timers();
    const stop = new AbortController();
    const ended = once(came, 'closed');
    const asked = ask('a', { signal: stop.signal, ...streamed });
    await once(came, 'request');
    assert.equal(listeners(stop.signal), 1);
    stop.abort('enough');
    assert.deepEqual(await asked, { kind: 'aborted', reason: 'enough' });
    await ended;

    const { signal } = new AbortController();
    const late = once(came, 'closed');
    const fault = failed(await ask('a', { signal, timeoutMs: 150, ...streamed }));
    assert.deepEqual(fault, { kind: 'timeout', message: 'no answer within 150 ms' });
    await late;
    assert.deepEqual([listeners(stop.signal), listeners(signal)], [0, 0]);
    assert.ok(timers() <= timersBefore, 'no timer is left');
  });
}

test('a call that waits for a connection ends by its signal and by its deadline, and is never sent', async (t) => {
  const { server, ask } = await setUp(t, always({ kind: 'hang' }));
  const stop = new AbortController();
  // Four for documents and one kept for the question for health.
  const busy = Array.from({ length: 5 }, (_, at) => ask(`${at}`, { signal: stop.signal }));
  await server.waitForRequests(5);
  const own = new AbortController();
  const [stopped, late] = [ask('stopped', { signal: own.signal }), ask('late', { timeoutMs: 100 })];
  own.abort('gone');
  assert.deepEqual(await stopped, { kind: 'aborted', reason: 'gone' });
  assert.deepEqual(failed(await late), { kind: 'timeout', message: 'no connection within 100 ms' });
  stop.abort('end');
  for (const call of busy) assert.deepEqual(await call, { kind: 'aborted', reason: 'end' });
  assert.equal(server.received, 5);
});

test('one signal for many calls holds one listener for each that runs and none afterwards, however they end', async (t) => {
  const { server, ask } = await setUp(t);
  const { signal } = new AbortController();
  const onEvent = (): undefined => undefined;
  const held = ['[[hang]] 1', '[[hang]] 2', '[[hang]] 3'].map((prompt) => ask(prompt, { signal }));
  await server.waitForRequests(3);
  assert.equal(listeners(signal), 3);
  for (let round = 0; round < 20; round += 1) {
    for (const prompt of ['a', '[[status 500]]', '[[reset]]', '[[garbage]]', '[[cut]]']) {
      await ask(prompt, { signal });
      await ask(prompt, { signal, onEvent });
    }
    assert.equal(failed(await ask(`[[hang]] ${round}`, { signal, timeoutMs: 5 })).kind, 'timeout');
    assert.equal(listeners(signal), 3);
  }
  server.release();
  for (const call of held) completed(await call);
  assert.equal(listeners(signal), 0);
});
