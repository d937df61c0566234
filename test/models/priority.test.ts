import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointUrl, Json, JsonObject } from '@spillway/core';
import { completed, decide, failed, setUp } from '../support/model-client.ts';
import type { ModelRequest, Scripted } from '../support/model-server.ts';

const status = (code: number, body: Json): Scripted => ({ kind: 'status', status: code, body });

/** What servers say that take no priority: vLLM by its first engine, SGLang, and one that is strict about fields. */
const REFUSALS: readonly Scripted[] = [
  status(400, { object: 'error', message: 'Got priority 7 but Priority scheduling is not enabled.', code: 400 }),
  status(503, {
    error: { message: 'Using priority is disabled for this server. Please send a new request without a priority.' },
  }),
  status(422, { detail: [{ type: 'extra_forbidden', loc: ['body', 'priority'], msg: 'Extra inputs' }] }),
];

const sent = (requests: readonly ModelRequest[]) => requests.map(({ body }) => body['priority']);

test("a call's priority is sent in place of the client's own, whatever the endpoint; without one that stays", async (t) => {
  const { server, client, ask } = await setUp(t);
  completed(await ask('a', { priority: 7 }, { priority: -100 }));
  completed(await ask('b', {}, { priority: -100 }));
  completed(await ask('c', { priority: -7 }));
  completed(await ask('d', { priority: 0 }));
  const inputs: readonly (readonly [EndpointUrl, JsonObject])[] = [
    ['/v1/completions', { prompt: 'e' }],
    ['/v1/responses', { input: 'f' }],
  ];
  for (const [endpoint, input] of inputs) {
    const call = { endpoint, body: input, logprobs: false, priority: 9, timeoutMs: 20_000 };
    completed(await client.complete({ ...call, signal: new AbortController().signal }));
  }
  assert.deepEqual(sent(server.requests), [7, -100, -7, 0, 9, 9]);
});

for (const refusal of REFUSALS) {
  test(`a server that takes no priority is asked without, remembered, and noted once: ${JSON.stringify(refusal)}`, async (t) => {
    const answer = ({ body }: ModelRequest): Scripted => ('priority' in body ? refusal : { kind: 'completion' });
    const { server, ask, notices } = await setUp(t, { answer });
    for (const prompt of ['a', 'b', 'c']) {
      const { completion, refusal: said } = completed(await ask(prompt, { priority: 7 }, { priority: 1 }));
      assert.notEqual(completion.tokens, null, 'log-probs are asked for as before');
      assert.equal(said, undefined);
    }
    assert.deepEqual(sent(server.requests), [7, undefined, undefined, undefined]);
    assert.deepEqual(
      notices.map(({ kind }) => kind),
      ['priority_refused'],
    );
  });
}

test('one that refuses log-probs, too, is asked with neither', async (t) => {
  const answer = ({ body }: ModelRequest): Scripted => {
    const refused = ['priority', 'top_logprobs', 'logprobs'].find((field) => field in body);
    return refused === undefined ? { kind: 'completion' } : status(400, { error: { message: `no ${refused}` } });
  };
  const { server, ask } = await setUp(t, { answer });
  for (const prompt of ['a', 'b', 'c'])
    assert.equal(completed(await ask(prompt, { priority: 7 })).refusal, 'no logprobs');
  assert.deepEqual(Object.keys(server.requests.at(-1)?.body ?? {}).includes('priority'), false);
});

test('a call that had to make way for others is held, and one document’s error refuses nothing for the others', async (t) => {
  const away = 'The request is aborted by a higher priority request.';
  const answer = ({ body }: ModelRequest): Scripted => {
    const said = JSON.stringify(body['messages']);
    if (said.includes('evicted')) return status(503, { error: { message: away } });
    return said.includes('poison')
      ? status(400, { detail: [{ msg: 'bad', input: 'poison of priority' }] })
      : { kind: 'completion' };
  };
  const { server, ask, notices } = await setUp(t, { answer });
  completed(await ask('a', { priority: 7 }));
  assert.equal(decide(failed(await ask('evicted', { priority: 8 }))).kind, 'hold');
  assert.equal(server.received, 2, 'without a priority it would be the last of all');
  assert.equal(decide(failed(await ask('poison', { priority: 9 }))).kind, 'final');
  completed(await ask('b', { priority: 10 }));
  assert.deepEqual(sent(server.requests), [7, 8, 9, undefined, 10]);
  assert.deepEqual(notices, []);
});
