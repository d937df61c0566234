import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { ENDPOINT_URLS, ENDPOINTS, runAtOnce, type EndpointUrl, type JsonObject } from '@spillway/core';
import { always, completed, decide, failed, KEY, openAt, setUp } from '../support/model-client.ts';
import type { Scripted } from '../support/model-server.ts';

const BODIES: Readonly<Record<EndpointUrl, (prompt: string) => JsonObject>> = {
  '/v1/chat/completions': (prompt) => ({ messages: [{ role: 'user', content: prompt }] }),
  '/v1/completions': (prompt) => ({ prompt }),
  '/v1/responses': (prompt) => ({ input: prompt }),
};

const entry = (token: string, logprob: number) => ({
  token,
  logprob,
  bytes: [...Buffer.from(token)],
  top_logprobs: [
    { token, logprob },
    { token: '?', logprob: logprob - 2 },
  ],
});

/** A call's own part, and what was passed on. */
function streamed(endpoint: EndpointUrl, prompt: string) {
  const events: JsonObject[] = [];
  return {
    call: { endpoint, body: BODIES[endpoint](prompt), onEvent: (data: JsonObject) => void events.push(data) },
    events,
  };
}

const CHAT = '/v1/chat/completions';
const chunk = (delta: JsonObject, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

for (const endpoint of ENDPOINT_URLS) {
  test(`${endpoint}: a stream comes to the same as an answer in one piece`, async (t) => {
    const answers: Scripted[] = [
      { kind: 'completion', text: 'three words here', headers: { 'x-request-id': 'r1' } },
      {
        kind: 'completion',
        text: 'yes sir',
        logprobs: { content: [entry('yes', -0.5), entry(' sir', -0.25)] },
        finishReason: 'length',
      },
      { kind: 'completion', text: null, refusal: 'I cannot help' },
      { kind: 'completion', text: 'no', logprobs: null },
    ];
    let next = 0;
    const { server, ask } = await setUp(t, { answer: () => answers[Math.floor(next++ / 2)] ?? { kind: 'hang' } });
    for (const { headers } of answers as Extract<Scripted, { kind: 'completion' }>[]) {
      const { call, events } = streamed(endpoint, 'a');
      const whole = completed(await ask('a', { endpoint, body: call.body, topLogprobs: 2 }));
      const stream = completed(await ask('a', { ...call, topLogprobs: 2 }));
      const { startedAtMs: _from, endedAtMs: _to, ...rest } = stream;
      assert.deepEqual(rest.completion, whole.completion);
      assert.deepEqual(rest.body, whole.body);
      assert.equal(rest.requestId, headers?.['x-request-id'] ?? null);
      assert.ok(events.length >= 2);
      const collector = ENDPOINTS[endpoint].stream.collect();
      for (const data of events) collector.push(data);
      assert.equal(runAtOnce(ENDPOINTS[endpoint].read(collector.body(), {}))?.text, whole.completion.text);
    }
    const [plain, asked] = server.requests;
    assert.deepEqual(asked?.body, { ...plain?.body, ...ENDPOINTS[endpoint].stream.fields });
    assert.equal('stream' in (plain?.body ?? {}), false);
  });

  test(`${endpoint}: a server that does not stream is taken to have done so`, async (t) => {
    const { ask } = await setUp(t, always({ kind: 'completion', text: 'yes', streams: false }));
    const { call, events } = streamed(endpoint, 'a');
    const attempt = completed(await ask('a', call));
    assert.equal(attempt.completion.text, 'yes');
    assert.equal(attempt.completion.tokens?.length, 1);
    const collector = ENDPOINTS[endpoint].stream.collect();
    for (const data of events) collector.push(data);
    assert.equal(runAtOnce(ENDPOINTS[endpoint].read(collector.body(), {}))?.text, 'yes');
  });

  test(`${endpoint}: a stream that breaks off, or never comes, is a fault as without one`, async (t) => {
    const { ask } = await setUp(t);
    const kinds = {
      cut: 'reset',
      reset: 'reset',
      garbage: 'garbled',
      'status 500': 'http',
      'status 400': 'http',
      'slow 1000': 'timeout',
      hang: 'timeout',
    };
    for (const [directive, kind] of Object.entries(kinds)) {
      const { call } = streamed(endpoint, `[[${directive}]]`);
      const timeoutMs = kind === 'timeout' ? 100 : 20_000;
      assert.equal(failed(await ask('', { ...call, timeoutMs })).kind, kind, directive);
    }
  });
}

test('events are passed on as they come, and a call stops with its signal in mid-stream', async (t) => {
  const { server, ask } = await setUp(
    t,
    always({
      kind: 'pieces',
      pieces: [chunk({ role: 'assistant', content: 'hel' }), chunk({ content: 'lo' })],
      last: 'hang',
    }),
  );
  const stop = new AbortController();
  const seen: JsonObject[] = [];
  const onEvent = (data: JsonObject): undefined => {
    seen.push(data);
    if (seen.length === 2) stop.abort('hopeless');
  };
  assert.deepEqual(await ask('a', { onEvent, signal: stop.signal }), { kind: 'aborted', reason: 'hopeless' });
  assert.equal(seen.length, 2);
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
  server.release();
});

test('events that came in one piece with the one that stopped the call are not passed on', async (t) => {
  const { ask } = await setUp(
    t,
    always({ kind: 'pieces', pieces: [chunk({ content: 'a' }) + chunk({ content: 'b' }, 'stop')] }),
  );
  const stop = new AbortController();
  let count = 0;
  const onEvent = (): undefined => {
    count += 1;
    stop.abort('hopeless');
  };
  assert.deepEqual(await ask('a', { onEvent, signal: stop.signal }), { kind: 'aborted', reason: 'hopeless' });
  assert.equal(count, 1);
});

test('a stream ends by the deadline although it still comes', async (t) => {
  const pieces = Array.from({ length: 400 }, () => chunk({ content: 'x' }));
  const { ask } = await setUp(t, always({ kind: 'pieces', pieces, pauseMs: 10 }));
  const { call, events } = streamed(CHAT, 'a');
  const fault = failed(await ask('a', { ...call, timeoutMs: 200 }));
  assert.deepEqual(fault, { kind: 'timeout', message: 'no answer within 200 ms' });
  assert.ok(events.length > 0);
});

test('connections are used again after a stream', async (t) => {
  const { server } = await setUp(t);
  const { ask } = openAt(t, server.baseURL, { connections: 1 });
  for (let call = 0; call < 10; call += 1) completed(await ask('', streamed(CHAT, `${call}`).call));
  const ports = new Set(server.requests.map(({ port }) => port));
  // One for documents and one kept for the question for health.
  assert.ok(ports.size <= 2, `${ports.size} connections for 10 calls`);
});

test('an error in mid-stream is no completion, is no event, and is kept in words without the key', async (t) => {
  const message = `bad key ${KEY}`;
  const errors = [
    `data: ${JSON.stringify({ error: { message, code: 400 } })}\n\n`,
    `event: error\ndata: ${JSON.stringify({ type: 'error', message })}\n\n`,
    `data: ${JSON.stringify({ object: 'error', message, code: 500 })}\n\n`,
    `data: ${JSON.stringify({ error: message })}\n\n`,
    `data: not JSON but ${KEY}\n\n`,
    `data: [1]\n\n`,
  ];
  let next = 0;
  const { server, ask } = await setUp(t, {
    answer: () => ({ kind: 'pieces', pieces: [chunk({ content: 'b' }), errors[next++] ?? ''], last: 'hang' }),
  });
  for (const error of errors) {
    const { call, events } = streamed(CHAT, 'a');
    const fault = failed(await ask('a', call));
    // One that says its status is what it says it is.
    const status = /"code":(\d+)/.exec(error)?.[1];
    if (status === undefined) assert.ok(fault.kind === 'garbled' && fault.status === 200, error);
    else assert.ok(fault.kind === 'http' && fault.status === Number(status), error);
    assert.doesNotMatch(JSON.stringify(fault), /sk-very/);
    assert.match(JSON.stringify(fault), /bad key|not JSON|no completion: .*1/);
    assert.equal(events.length, 1);
  }
  server.release();
});

test('a stream that ends without saying why the answer did is a broken one', async (t) => {
  const streams = [
    [chunk({ content: 'half' })],
    [chunk({ content: 'half' }), 'data: [DONE]\n\n'],
    [chunk({ content: 'half' }), 'data: {"choices":[{"index":0,"delta":{},"finish_re'],
  ];
  let next = 0;
  const { ask } = await setUp(t, { answer: () => ({ kind: 'pieces', pieces: streams[next++] ?? [] }) });
  for (const _ of streams) {
    const fault = failed(await ask('a', streamed(CHAT, 'a').call));
    assert.deepEqual(fault, { kind: 'reset', message: 'the stream ended before the answer was whole' });
  }
  const garbled = failed(await ask('a', streamed(CHAT, 'a').call));
  assert.equal(garbled.kind, 'garbled');
});

test('an answer that the server itself calls broken off is none', async (t) => {
  const { ask } = await setUp(t, always({ kind: 'pieces', pieces: [chunk({ content: 'half' }, 'abort')] }));
  assert.equal(failed(await ask('a', streamed(CHAT, 'a').call)).kind, 'garbled');
});

test('an event that nothing ends counts if it is whole, and what comes behind [DONE] does not', async (t) => {
  const streams = [
    [chunk({ content: 'yes' }), chunk({}, 'stop').trimEnd()],
    [chunk({ content: 'yes' }, 'stop'), 'data: [DONE]\n\n', chunk({ content: ' no' }), 'data: {"error":"late"}\n\n'],
  ];
  let next = 0;
  const { ask } = await setUp(t, { answer: () => ({ kind: 'pieces', pieces: streams[next++] ?? [] }) });
  for (const _ of streams) assert.equal(completed(await ask('a', streamed(CHAT, 'a').call)).completion.text, 'yes');
});

test('comments, names, CRLF, a byte order mark and cuts anywhere do not matter, nor does the content type', async (t) => {
  const said = chunk({ role: 'assistant', content: 'añ€😀' }) + chunk({}, 'stop');
  const bytes = Buffer.from(`\uFEFF: hello\r\n\r\nid: 7\r\n${said.replaceAll('\n', '\r\n')}: bye\rdata: [DONE]\r\r`);
  const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
  const { ask } = await setUp(t, always({ kind: 'pieces', pieces, headers: { 'content-type': 'text/plain' } }));
  assert.equal(completed(await ask('a', streamed(CHAT, 'a').call)).completion.text, 'añ€😀');
});

test('a stream without end is cut off', async (t) => {
  const piece = chunk({ content: 'x'.repeat(1024 * 1024) });
  const { ask } = await setUp(t, always({ kind: 'pieces', pieces: Array.from({ length: 40 }, () => piece) }));
  const fault = failed(await ask('a', streamed(CHAT, 'a').call));
  assert.ok(fault.kind === 'garbled');
  assert.match(fault.message, /longer than/);
});

test('an event that is nested too deep to be written again is no completion', async (t) => {
  const deep = `data: {"choices":[],"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}\n\n`;
  const { ask } = await setUp(t, always({ kind: 'pieces', pieces: [deep, chunk({ content: 'yes' }, 'stop')] }));
  const { call, events } = streamed(CHAT, 'a');
  assert.equal(failed(await ask('a', call)).kind, 'garbled');
  assert.deepEqual(events, []);
});

for (const endpoint of ENDPOINT_URLS) {
  test(`${endpoint}: what begins as a thought is not streamed, and a thought whose beginning is in the prompt is known after the first`, async (t) => {
    const answers = ['[[think]]', '[[harmony]]', '[[openthink]]', '[[openthink]] again', '[[think]]'];
    const { ask } = await setUp(t);
    for (const [at, prompt] of answers.entries()) {
      const { call, events } = streamed(endpoint, prompt);
      const attempt = completed(await ask('', call));
      assert.equal(attempt.completion.text, 'four', prompt);
      assert.doesNotMatch(JSON.stringify(attempt.body), /let me see/);
      if (at !== 2) assert.deepEqual(events, [], prompt);
    }
    const { call, events } = streamed(endpoint, 'a');
    completed(await ask('', call));
    assert.ok(events.length > 1, 'what was held back of an answer without a thought');
  });
}

test('an error in a choice or in the response is no event either', async (t) => {
  const error = { message: 'Provider disconnected', code: 502 };
  const events: Readonly<Partial<Record<EndpointUrl, object>>> = {
    '/v1/chat/completions': { choices: [{ index: 0, delta: {}, finish_reason: 'stop', error }] },
    '/v1/completions': { choices: [{ index: 0, text: 'b', finish_reason: 'stop', error }] },
    '/v1/responses': { type: 'response.failed', response: { status: 'failed', output: [], error } },
  };
  for (const endpoint of ENDPOINT_URLS) {
    const pieces = [`data: ${JSON.stringify(events[endpoint])}\n\n`];
    const { ask } = await setUp(t, always({ kind: 'pieces', pieces }));
    const { call, events: seen } = streamed(endpoint, 'a');
    const fault = failed(await ask('', call));
    assert.ok(fault.kind === 'http' && fault.status === 502, endpoint);
    assert.deepEqual(seen, []);
  }
});

test('a server that refuses log-probs is asked for a stream without them', async (t) => {
  const { server, ask, notices } = await setUp(t, {
    answer: ({ body }) =>
      body['logprobs'] === true
        ? { kind: 'status', status: 400, body: { error: { message: 'logprobs are not supported' } } }
        : { kind: 'completion', text: 'yes' },
  });
  assert.equal(completed(await ask('a', streamed(CHAT, 'a').call)).completion.text, 'yes');
  assert.deepEqual(
    server.requests.map(({ body }) => [body['stream'], body['logprobs']]),
    [
      [true, true],
      [true, undefined],
    ],
  );
  assert.equal(notices.length, 1);
});

test('an HTTP error of a streamed call comes as the server said it', async (t) => {
  const body = { error: { message: 'too long', type: 'x', param: 'messages', code: 'context_length_exceeded' } };
  const { ask } = await setUp(t, always({ kind: 'status', status: 400, body }));
  const { call, events } = streamed(CHAT, 'a');
  const fault = failed(await ask('a', call));
  assert.deepEqual(fault, { kind: 'http', status: 400, body, retryAfterMs: null, requestId: null });
  assert.deepEqual(decide(fault), { kind: 'final', rejected: true });
  assert.deepEqual(events, []);
});

test('a server is read no further while its reader takes no more, and then to the end', async (t) => {
  const text = 'x'.repeat(1_000);
  const count = 20_000;
  const pieces = [...Array.from({ length: count }, () => chunk({ content: text })), chunk({}, 'stop')];
  const { ask } = await setUp(t, always({ kind: 'pieces', pieces }));
  const taken = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  let seen = 0;
  const onEvent = (): Promise<void> | undefined => {
    seen += 1;
    if (seen < 100) return undefined;
    full.resolve();
    return taken.promise;
  };
  const asked = ask('a', { onEvent });
  await full.promise;
  // Of what is on its way to this process one piece may still come; here it would be all, were it read on.
  const pieceOf = (await new Promise<number>((resolve) => setTimeout(() => resolve(seen), 300))) - 100;
  assert.ok(pieceOf < 200, `${pieceOf} more events`);
  taken.resolve();
  assert.equal(completed(await asked).completion.text?.length, count * text.length);
  assert.equal(seen, count + 1);
});

test("what the caller's own code throws at an event is thrown to the caller", async (t) => {
  const { ask } = await setUp(t);
  const onEvent = (): undefined => {
    throw new RangeError('a mistake of the caller');
  };
  await assert.rejects(ask('a', { onEvent }), (error: Error) => error.cause instanceof RangeError);
});
