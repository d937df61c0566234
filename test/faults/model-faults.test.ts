import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { JsonObject } from '@spillway/core';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { always, completed, decide, failed, KEY, openAt, setUp } from '../support/model-client.ts';
import type { Scripted } from '../support/model-server.ts';

test('4xx: the body comes as the server said it, and there is no other attempt', async (t) => {
  const bodies: { status: number; body: JsonObject }[] = [
    {
      status: 400,
      body: { error: { message: 'too long', type: 'x', param: 'messages', code: 'context_length_exceeded' } },
    },
    /** llama.cpp has a number as its code, FastAPI (vLLM, SGLang) has no `error` at all. */
    { status: 400, body: { error: { code: 400, message: 'bad', type: 'invalid_request_error' } } },
    { status: 422, body: { detail: [{ loc: ['body', 'x'], msg: 'extra' }] } },
    { status: 404, body: { error: { message: 'No such File object: f', param: 'file' } } },
  ];
  let next = 0;
  const { server, ask } = await setUp(t, {
    answer: () => ({ kind: 'status', ...(bodies[next++] ?? { status: 500 }) }),
  });
  for (const { status, body } of bodies) {
    const fault = failed(await ask('a'));
    assert.deepEqual(fault, { kind: 'http', status, body, retryAfterMs: null, requestId: null });
    assert.deepEqual(decide(fault), { kind: 'final', rejected: true });
  }
  assert.equal(server.received, bodies.length);
});

test('429 and 503: the wait is what the server asks for, in seconds, milliseconds or as a date', async (t) => {
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  const waits: { headers: Record<string, string>; least: number; most: number }[] = [
    { headers: { 'retry-after': '7' }, least: 7_000, most: 7_000 },
    { headers: { 'retry-after': '7', 'retry-after-ms': '250' }, least: 250, most: 250 },
    { headers: { 'retry-after': date }, least: 3_590_000, most: 3_600_000 },
    { headers: { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, least: 0, most: 0 },
  ];
  let next = 0;
  const { ask } = await setUp(t, {
    answer: () => ({ kind: 'status', status: next % 2 === 0 ? 429 : 503, headers: waits[next++]?.headers ?? {} }),
  });
  for (const { least, most } of waits) {
    const decision = decide(failed(await ask('a')));
    assert.ok(decision.kind === 'hold' && decision.retryAfterMs !== null);
    assert.ok(decision.retryAfterMs >= least && decision.retryAfterMs <= most, `${decision.retryAfterMs}`);
  }
});

test('429 and 503 without a wait, or with one that is nonsense, hold the document for the caller to time', async (t) => {
  const { ask } = await setUp(t);
  for (const prompt of ['[[status 429]]', '[[status 503]]', '[[status 429 soon]]', '[[status 503 -5]]']) {
    const decision = decide(failed(await ask(prompt)));
    assert.ok(decision.kind === 'hold' && decision.retryAfterMs === null, prompt);
  }
});

test('408, 5xx, a reset and a body that is cut off use up an attempt if others are answered', async (t) => {
  const { ask } = await setUp(t);
  for (const status of [408, 500, 502, 504]) {
    assert.equal(decide(failed(await ask(`[[status ${status}]]`))).kind, 'unproven');
  }
  for (const prompt of ['[[reset]]', '[[cut]]']) {
    const fault = failed(await ask(prompt));
    assert.equal(fault.kind, 'reset', prompt);
    assert.equal(decide(fault).kind, 'unproven');
  }
});

test('the SDK retries nothing by itself', async (t) => {
  const { server, ask } = await setUp(t);
  failed(await ask('[[status 500 x1]]'));
  assert.equal(server.received, 1);
  completed(await ask('[[status 500 x1]]'));
});

test('a 200 that is no completion is a failed attempt', async (t) => {
  const bodies = [
    '',
    '<html>',
    '{',
    'null',
    '[]',
    '{}',
    '{"choices":[]}',
    '{"error":{"message":"no"}}',
    '{"choices":[{"logprob":-Infinity}]}',
  ];
  let next = 0;
  const { ask } = await setUp(t, { answer: () => ({ kind: 'raw', body: bodies[next++] ?? '' }) });
  for (const body of bodies) {
    const fault = failed(await ask('a'));
    assert.ok(fault.kind === 'garbled' && fault.status === 200, body);
    assert.equal(decide(fault).kind, 'unproven');
  }
});

test('an error in a 200 is what it says it is', async (t) => {
  const cases: readonly (readonly [object, string])[] = [
    [{ error: { code: 429, message: 'Rate limit exceeded' } }, 'hold'],
    [{ error: { type: 'rate_limit_error', message: 'slow down' } }, 'hold'],
    [{ error: 'Too many requests' }, 'hold'],
    [{ error: { type: 'overloaded_error' } }, 'hold'],
    [{ choices: [{ message: { content: 'so far' }, error: { code: 429, message: 'slow down' } }] }, 'hold'],
    [{ error: { code: '502', message: 'Provider disconnected' } }, 'unproven'],
    [{ error: { code: 'insufficient_quota' } }, 'unproven'],
    [{ error: { code: 400, message: 'too long' } }, 'final'],
  ];
  let next = 0;
  const { ask } = await setUp(t, {
    answer: () => ({ kind: 'raw', body: JSON.stringify(cases[next++]?.[0] ?? {}) }),
  });
  for (const [body, kind] of cases) assert.equal(decide(failed(await ask('a'))).kind, kind, JSON.stringify(body));
});

test('a body that is nested too deep to be written again is a failed attempt, as an error it is kept in words', async (t) => {
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
  const { ask } = await setUp(t, {
    answer: ({ attempt }) =>
      attempt === 1
        ? { kind: 'raw', body: `{"x":${deep},"choices":[{"message":{"content":"yes"}}]}` }
        : { kind: 'raw', body: deep, status: 400 },
  });
  assert.equal(failed(await ask('a')).kind, 'garbled');
  const fault = failed(await ask('a'));
  assert.ok(fault.kind === 'http' && fault.body === 'an error that is nested too deep');
});

test('a redirect is not followed, and 204 is no completion', async (t) => {
  const { ask, server } = await setUp(t, {
    answer: ({ attempt }) => ({
      kind: 'raw',
      body: '',
      status: attempt === 1 ? 302 : 204,
      headers: { location: '/elsewhere' },
    }),
  });
  const moved = decide(failed(await ask('a')));
  assert.ok(moved.kind === 'unproven' && moved.cause === 'operator', 'the address is an older one');
  assert.equal(failed(await ask('a')).kind, 'garbled');
  assert.equal(server.received, 2);
});

test('an answer without end is cut off', async (t) => {
  const { ask } = await setUp(t, always({ kind: 'raw', body: ' '.repeat(33 * 1024 * 1024) }));
  const fault = failed(await ask('a'));
  assert.ok(fault.kind === 'garbled');
  assert.match(fault.message, /longer than/);
});

test('what does not speak HTTP is a failed attempt', async (t) => {
  const { ask } = await setUp(t, always({ kind: 'not_http' }));
  const fault = failed(await ask('a'));
  assert.ok(fault.kind === 'garbled' && fault.status === null, JSON.stringify(fault));
});

test('an error page is kept as text, cut', async (t) => {
  const page = `<html>${'x'.repeat(200_000)}`;
  const { ask } = await setUp(t, always({ kind: 'raw', status: 502, body: page }));
  const fault = failed(await ask('a'));
  assert.ok(fault.kind === 'http' && typeof fault.body === 'string');
  assert.equal(fault.body, page.slice(0, 4_096));
});

test('no answer by the deadline is a time-out, whether the head or the body is missing', async (t) => {
  const { server, ask } = await setUp(t);
  for (const prompt of ['[[hang]]', '[[slow 1000]]']) {
    const fault = failed(await ask(prompt, { timeoutMs: 100 }));
    assert.equal(fault.kind, 'timeout');
    assert.equal(decide(fault).kind, 'unproven');
  }
  server.release();
});

test('a half-open connection ends by the deadline, and the next call is not hurt', async (t) => {
  const { server } = await setUp(t);
  const proxy = await startFaultProxy({ target: server.baseURL });
  t.after(() => proxy[Symbol.asyncDispose]());
  const { ask } = openAt(t, proxy.through(server.baseURL));
  completed(await ask('a'));
  await proxy.set({ kind: 'black_hole' });
  assert.equal(failed(await ask('b', { timeoutMs: 100 })).kind, 'timeout');
  await proxy.set({ kind: 'pass' });
  completed(await ask('c'));
});

test('a server that is down is unreachable, and reached again once it is back', async (t) => {
  const { server, ask } = await setUp(t);
  await server.stop();
  const fault = failed(await ask('a'));
  assert.deepEqual(fault, { kind: 'unreachable', message: 'connect ECONNREFUSED' }, 'where it is, is not for tenants');
  assert.equal(decide(fault).kind, 'hold');
  await server.restart();
  completed(await ask('a'));
});

test('a name that does not exist is unreachable', async (t) => {
  const { ask } = openAt(t, 'http://model.invalid/v1');
  const { kind, message } = failed(await ask('a')) as { kind: string; message?: string };
  assert.equal(kind, 'unreachable');
  assert.match(message ?? '', /^getaddrinfo [A-Z_]+$/);
});

test('a connection that is never made is unreachable; a call too late to make one says nothing of the server', async (t) => {
  /** TLS to a server that takes the connection and says nothing: no byte of the request can be sent. */
  const sockets = new Set<{ destroy(): void }>();
  const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const address = silent.address();
  assert.ok(address !== null && typeof address === 'object');
  const { ask } = openAt(t, `https://127.0.0.1:${address.port}/v1`, { timeoutMs: 200 });
  const message = 'no connection in time (UND_ERR_CONNECT_TIMEOUT)';
  assert.deepEqual(failed(await ask('a')), { kind: 'unreachable', message });
  const late = failed(await ask('a', { timeoutMs: 10 }));
  assert.deepEqual(late, { kind: 'timeout', message: 'no connection within 10 ms' });
});

test('a server killed in mid-answer is a reset', async (t) => {
  const { server, ask } = await setUp(t);
  const call = ask('[[hang]]');
  await server.waitForRequests(1);
  await server.stop();
  assert.equal(failed(await call).kind, 'reset');
});

test('a network that breaks in mid-answer is a reset', async (t) => {
  const { server } = await setUp(t);
  const proxy = await startFaultProxy({ target: server.baseURL });
  t.after(() => proxy[Symbol.asyncDispose]());
  const { ask } = openAt(t, proxy.through(server.baseURL));
  const call = ask('[[hang]]');
  await server.waitForRequests(1);
  await proxy.set({ kind: 'reset' });
  assert.equal(failed(await call).kind, 'reset');
  await proxy.set({ kind: 'refuse' });
  assert.equal(failed(await ask('b')).kind, 'unreachable');
});

test('a call stops with its signal and gives the reason back', async (t) => {
  const { server, ask } = await setUp(t);
  const stop = new AbortController();
  const call = ask('[[hang]]', { signal: stop.signal });
  await server.waitForRequests(1);
  stop.abort('shutdown');
  assert.deepEqual(await call, { kind: 'aborted', reason: 'shutdown' });
  assert.deepEqual(await ask('a', { signal: stop.signal }), { kind: 'aborted', reason: 'shutdown' });
  assert.equal(server.received, 1);
});

test('closing the client stops its calls without blaming the server', async (t) => {
  const { server, client, ask } = await setUp(t);
  const call = ask('[[hang]]');
  await server.waitForRequests(1);
  await client[Symbol.asyncDispose]();
  assert.equal((await call).kind, 'aborted');
});

test('the API key is in nothing that comes back', async (t) => {
  const echo = `Incorrect API key provided: ${KEY}.`;
  const scripts: Scripted[] = [
    { kind: 'status', status: 401, body: { error: { message: echo, [KEY]: [KEY] } }, headers: { 'x-request-id': KEY } },
    { kind: 'raw', status: 400, body: `${'x'.repeat(4_090)}${KEY}` },
    { kind: 'raw', body: echo },
    { kind: 'reset', when: 'before_headers' },
  ];
  let next = 0;
  const { ask } = await setUp(t, { answer: () => scripts[next++] ?? { kind: 'hang' } });
  for (const { kind } of scripts) {
    const attempt = await ask('a');
    assert.equal(attempt.kind, 'failed', kind);
    assert.doesNotMatch(JSON.stringify(attempt), /sk-very/);
  }
});
