import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { LIMITS, runAtOnce, scoreDraft, type Completion, type JsonObject } from '@spillway/core';
import { always, choiceOf, completed, decide, failed, KEY, openAt, setUp } from '../support/model-client.ts';
import type { Scripted } from '../support/model-server.ts';

const scored = (completion: Completion, request: JsonObject = {}) =>
  runAtOnce(
    scoreDraft(
      { completion, endpoint: '/v1/chat/completions', request },
      { signal: { name: 'mean_logprob' }, calibration: null },
    ),
  );

test('a completion comes back as the server said it, without the log-probs that only Spillway asked for', async (t) => {
  const { server, ask } = await setUp(
    t,
    always({ kind: 'completion', text: 'yes', headers: { 'x-request-id': 'r1' } }),
  );
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const attempt = completed(await ask('a', { traceparent }, { stream: true, stream_options: {}, temperature: 0 }));
  assert.equal(attempt.status, 200);
  assert.equal(attempt.requestId, 'r1');
  assert.equal(attempt.completion.text, 'yes');
  assert.equal(attempt.completion.tokens?.length, 1);
  assert.equal(choiceOf(attempt.body)?.['logprobs'], null);
  assert.equal(attempt.body['model'], 'small-model');
  assert.ok(attempt.endedAtMs >= attempt.startedAtMs);

  const [request] = server.requests;
  assert.deepEqual(request?.body, {
    model: 'small-model',
    messages: [{ role: 'user', content: 'a' }],
    temperature: 0,
    logprobs: true,
    top_logprobs: 1,
  });
  assert.equal(request?.headers['traceparent'], traceparent);
  assert.equal(request?.headers.authorization, `Bearer ${KEY}`);
});

test('log-probs that the client asked for stay, and are not asked for where nobody wants them', async (t) => {
  const { server, ask } = await setUp(t);
  const wanted = completed(await ask('a', { logprobs: false }, { logprobs: true, top_logprobs: 2 }));
  assert.notEqual(choiceOf(wanted.body)?.['logprobs'], null);
  assert.equal(server.requests[0]?.body['top_logprobs'], 2);
  await ask('b', { logprobs: false });
  assert.equal('logprobs' in (server.requests[1]?.body ?? {}), false);
  await ask('c', { topLogprobs: 5 });
  assert.equal(server.requests[2]?.body['top_logprobs'], 5);
});

test('alternatives beyond those that the client asked for are cut', async (t) => {
  const top = [
    { token: 'y', logprob: -0.1 },
    { token: 'n', logprob: -3 },
    { token: 'm', logprob: -4 },
  ];
  const logprobs = { content: [{ token: 'yes', logprob: -0.1, bytes: null, top_logprobs: top }] };
  const { ask } = await setUp(t, always({ kind: 'completion', text: 'yes', logprobs }));
  const attempt = completed(await ask('a', { topLogprobs: 3 }, { logprobs: true, top_logprobs: 1 }));
  assert.equal(attempt.completion.tokens?.[0]?.top.length, 3);
  assert.deepEqual(choiceOf(attempt.body)?.['logprobs'], {
    content: [{ token: 'yes', logprob: -0.1, bytes: null, top_logprobs: top.slice(0, 1) }],
  });
});

test('a completion counts whatever content type it has', async (t) => {
  const body = JSON.stringify({ choices: [{ message: { content: 'yes' }, finish_reason: 'stop' }] });
  const { ask } = await setUp(t, always({ kind: 'raw', body, headers: { 'content-type': 'text/plain' } }));
  assert.equal(completed(await ask('a')).completion.text, 'yes');
});

test('half of a character in a request is not sent, as strict servers refuse it; the answer is read as it is', async (t) => {
  const { server, ask } = await setUp(
    t,
    always({ kind: 'raw', body: '{"choices":[{"message":{"content":"\\ud83d"}}]}' }),
  );
  const attempt = completed(await ask('a \ud83d and \\ud83d, 😀', {}, { user: '\ude00', '\ud83d': 1 }));
  assert.equal(attempt.completion.text, '\ud83d');
  const [request] = server.requests;
  assert.deepEqual(request?.body['messages'], [{ role: 'user', content: 'a \ufffd and \\ud83d, 😀' }]);
  assert.deepEqual([request?.body['user'], request?.body['\ufffd']], ['\ufffd', 1]);
});

test('a signal that outlives many calls keeps nothing of them', async (t) => {
  const { ask } = await setUp(t);
  const { signal } = new AbortController();
  for (const prompt of ['a', '[[status 500]]', '[[reset]]']) await ask(prompt, { signal });
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('no more calls at a time than there are connections', async (t) => {
  const { server, ask } = await setUp(t);
  const calls = Array.from({ length: 8 }, (_, at) => ask(`[[hang]] ${at}`));
  /** Four for documents and one kept for the question for health. */
  await server.waitForRequests(5);
  assert.equal(server.inFlight, 5);
  server.release();
  await server.waitForRequests(8);
  server.release();
  for (const call of calls) completed(await call);
  assert.equal(server.peakInFlight, 5);
});

test('a server that refuses log-probs is asked without, remembered, and noted once', async (t) => {
  const said = 'You are not allowed to request logprobs from this model';
  const { server, ask, notices } = await setUp(t, {
    answer: ({ body }) =>
      body['logprobs'] === true
        ? {
            kind: 'status',
            status: 403,
            body: { error: { message: said, param: null } },
          }
        : { kind: 'completion' },
  });
  for (const prompt of ['a', 'b', 'c']) {
    const { completion, refusal } = completed(await ask(prompt));
    assert.deepEqual(scored(completion), {
      kind: 'no_evidence',
      reason: 'no_logprobs',
    });
    assert.equal(refusal, said, 'each answer says why it has none');
  }
  assert.equal(server.received, 4);
  assert.deepEqual(notices, [{ kind: 'logprobs_refused', model: 'small-model', status: 403, said }]);
});

test('a server that refuses alternatives is asked for log-probs without, remembered, and noted once', async (t) => {
  const { server, ask, notices } = await setUp(t, {
    answer: ({ body }) =>
      'top_logprobs' in body
        ? { kind: 'status', status: 422, body: { detail: [{ loc: ['body', 'top_logprobs'], msg: 'Extra inputs' }] } }
        : { kind: 'completion' },
  });
  for (const prompt of ['a', 'b']) {
    assert.equal(scored(completed(await ask(prompt, { topLogprobs: 5 })).completion).kind, 'scored');
  }
  assert.deepEqual(
    server.requests.map(({ body }) => [body['logprobs'], body['top_logprobs']]),
    [
      [true, 5],
      [true, undefined],
      [true, undefined],
    ],
  );
  const said = '{"detail":[{"loc":["body","top_logprobs"],"msg":"Extra inputs"}]}';
  assert.deepEqual(notices, [{ kind: 'alternatives_refused', model: 'small-model', status: 422, said }]);
  const own = failed(await ask('c', {}, { logprobs: true, top_logprobs: 2 }));
  assert.equal(own.kind, 'http', "a refusal of the client's own alternatives is the client's");
});

test('a server that refuses alternatives and log-probs is asked without either, on every endpoint', async (t) => {
  const wants = (body: JsonObject) => 'logprobs' in body || 'include' in body;
  const { server, ask } = await setUp(t, {
    answer: ({ body }) =>
      'top_logprobs' in body || wants(body)
        ? { kind: 'status', status: 400, body: { error: { message: 'logprobs and top_logprobs are not supported' } } }
        : { kind: 'completion' },
  });
  completed(await ask('a'));
  assert.equal(server.received, 3);
  completed(await ask('b'));
  assert.equal(server.received, 4);
  const { client } = openAt(t, server.baseURL);
  const call = { logprobs: true, timeoutMs: 20_000, signal: new AbortController().signal } as const;
  completed(await client.complete({ ...call, endpoint: '/v1/responses', body: { input: 'a' } }));
  completed(await client.complete({ ...call, endpoint: '/v1/completions', body: { prompt: 'a' } }));
  assert.equal(server.received, 8);
});

test('a document whose error only mentions log-probs does not turn them off for the others', async (t) => {
  const { server, ask, notices } = await setUp(t, {
    answer: ({ body }) =>
      JSON.stringify(body['messages']).includes('poison')
        ? { kind: 'status', status: 400, body: { detail: [{ msg: 'bad', input: 'poison: logprobs' }] } }
        : { kind: 'completion' },
  });
  assert.equal(decide(failed(await ask('poison'))).kind, 'final');
  assert.notEqual(completed(await ask('a')).completion.tokens, null);
  assert.equal(server.requests.at(-1)?.body['logprobs'], true);
  assert.deepEqual(notices, []);
});

test("a refusal of the client's own log-probs is the client's", async (t) => {
  const { server, ask } = await setUp(
    t,
    always({ kind: 'status', status: 400, body: { error: { param: 'logprobs' } } }),
  );
  assert.deepEqual(decide(failed(await ask('a', {}, { logprobs: true }))), { kind: 'final', rejected: true });
  assert.equal(server.received, 1);
});

test('servers that count end tokens, give none or give zeros are judged for what they say', async (t) => {
  const entry = (token: string, logprob: number) => ({ token, logprob, bytes: null, top_logprobs: [] });
  const scripts: Scripted[] = [
    { kind: 'completion', text: 'yes', logprobs: { content: [entry('yes', -0.5), entry('', -4)] } },
    { kind: 'completion', text: 'yes', logprobs: null },
    { kind: 'completion', text: 'yes', logprobs: 0 },
  ];
  let next = 0;
  const { ask } = await setUp(t, { answer: () => scripts[next++] ?? { kind: 'hang' } });
  const judge = async () => scored(completed(await ask('a')).completion);
  assert.deepEqual(await judge(), { kind: 'scored', score: -0.5, fields: null });
  assert.deepEqual(await judge(), { kind: 'no_evidence', reason: 'no_logprobs' });
  assert.deepEqual(await judge(), { kind: 'no_evidence', reason: 'zero_logprobs' });
});

test('what the prompt makes of a draft has its reason', async (t) => {
  const { ask } = await setUp(t);
  const reasons = {
    truncate: 'truncated',
    filter: 'content_filter',
    refuse: 'refused',
    tool: 'tool_call',
    badjson: 'invalid_json',
    empty: 'empty_answer',
  };
  const request = { response_format: { type: 'json_object' } };
  for (const [directive, reason] of Object.entries(reasons)) {
    const { completion } = completed(await ask(`[[${directive}]]`));
    assert.deepEqual(scored(completion, request), {
      kind: 'no_evidence',
      reason,
    });
  }
});

test('what a server says is nested no deeper than strict readers take when it stands in a result line', async (t) => {
  const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  let levels = 0;
  let status = 200;
  const { ask } = await setUp(t, {
    answer: () => ({
      kind: 'raw',
      status,
      body: `{"choices":[{"message":{"content":"a","extra":${nested(levels)}},"finish_reason":"stop"}]}`,
    }),
  });
  levels = LIMITS.answerDepth - 4;
  completed(await ask('a'));
  levels += 1;
  assert.equal(failed(await ask('a')).kind, 'garbled');
  status = 400;
  const fault = failed(await ask('a'));
  assert.ok(fault.kind === 'http' && fault.body === 'an error that is nested too deep');
  // A page of results is four levels around the body, and the strictest readers stop before 128.
  assert.ok(LIMITS.answerDepth + 4 < 128);
});

test('without a key there is no authorization, whatever the environment says', async (t) => {
  const names = ['OPENAI_API_KEY', 'OPENAI_ORG_ID', 'OPENAI_CUSTOM_HEADERS'] as const;
  for (const name of names)
    process.env[name] = name === 'OPENAI_CUSTOM_HEADERS' ? 'x-leak: 1\nauthorization: leak' : 'leak';
  t.after(() => names.forEach((name) => delete process.env[name]));
  const { server } = await setUp(t);
  const { ask } = openAt(t, server.baseURL, { apiKey: null });
  completed(await ask('a'));
  const headers = server.requests[0]?.headers ?? {};
  assert.deepEqual(Object.keys(headers).toSorted(), [
    'accept',
    'connection',
    'content-length',
    'content-type',
    'host',
    'user-agent',
  ]);
});

test('what a check saw refused is not sent, and is not told again; what the client itself asks for is', async (t) => {
  const { server, client, ask, notices } = await setUp(t);
  client.know({ logprobs: false, alternatives: true, said: 'no alternatives' });
  assert.equal(completed(await ask('a', { topLogprobs: 5 })).refusal, undefined);
  client.know({ logprobs: true, alternatives: true, said: 'no logprobs' });
  assert.equal(completed(await ask('b', { topLogprobs: 5 })).refusal, 'no logprobs');
  completed(await ask('c', {}, { logprobs: true, top_logprobs: 2 }));
  assert.deepEqual(
    server.requests.map(({ body }) => [body['logprobs'], body['top_logprobs']]),
    [
      [true, undefined],
      [undefined, undefined],
      [true, 2],
    ],
  );
  assert.deepEqual(notices, []);
});
