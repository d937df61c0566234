import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CascadeAnnotation } from '@spillway/core';
import OpenAI from 'openai';
import { failureOf } from '../support/api-error.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { strictParse } from '../support/strict.ts';
import { System, until, type SystemOptions } from '../support/system.ts';

type Annotated = { readonly cascade?: CascadeAnnotation };

/** Only an API: direct answers need neither a dispatcher nor workers. */
async function start(env: Readonly<Record<string, string>> = {}, more: SystemOptions = {}): Promise<System> {
  const models = { small: { max_attempts: 2 }, large: { max_attempts: 2 } };
  const system = await System.create({ models, env, ...more });
  await system.run('api');
  return system;
}

const plain = sharedSystem(() => start());

const ask = (system: System, content: string): Promise<OpenAI.ChatCompletion & Annotated> =>
  system.client.chat.completions.create({ model: 'test', messages: [{ role: 'user', content }] });

const reasonOf = ({ cascade }: Annotated): string | null | undefined => cascade?.stages[0]?.reason;

test('one document is answered through the cascade at once, by the rules of a batch', async () => {
  const system = await plain();
  const sure = await ask(system, '[[confident]]');
  assert.deepEqual([sure.cascade?.role, sure.cascade?.escalated, reasonOf(sure)], ['drafter', false, null]);
  assert.match(sure.choices[0]?.message.content ?? '', /^answer to/);
  assert.equal(sure.choices[0]?.logprobs, null);
  for (const [prompt, reason] of [
    ['[[drafter unsure]]', 'low_confidence'],
    ['[[drafter nologprobs]]', 'no_logprobs'],
    ['[[drafter status 400]]', 'drafter_rejected'],
    ['[[drafter status 500]]', 'draft_failed'],
  ] as const) {
    const answer = await ask(system, prompt);
    assert.deepEqual([answer.cascade?.role, reasonOf(answer)], ['expert', reason], prompt);
  }
  const retried = await ask(system, '[[drafter status 500 x1]]');
  assert.equal(retried.cascade?.role, 'drafter');
  const completion = await system.client.completions.create({ model: 'test', prompt: '[[drafter unsure]] a' });
  assert.equal((completion as Annotated).cascade?.role, 'expert');
  const response = await system.client.responses.create({ model: 'test', input: 'a' });
  assert.equal((response as unknown as Annotated).cascade?.role, 'drafter');
  assert.match(response.output_text, /^answer to/);
});

test('three stages are run in a row, and a stage that cannot take the document is skipped', async () => {
  await using system = await start({}, { middle: {}, models: { small: { context_tokens: 50 } } });
  const outcomes = async (prompt: string) =>
    (await ask(system, prompt)).cascade?.stages.map(({ model, outcome }) => `${model} ${outcome}`);
  assert.deepEqual(await outcomes('a'), ['small accepted']);
  assert.deepEqual(await outcomes('[[drafter unsure]]'), ['small escalated', 'medium accepted']);
  assert.deepEqual(await outcomes('[[drafter unsure]] [[middle unsure]]'), [
    'small escalated',
    'medium escalated',
    'large answered',
  ]);
  assert.deepEqual(await outcomes('long '.repeat(200)), ['small skipped', 'medium accepted']);
});

test('what goes wrong is an error in the envelope', async () => {
  const system = await plain();
  const failure = (prompt: string) => failureOf(ask(system, prompt));
  assert.equal((await failure('[[drafter unsure]] [[expert status 400]]')).status, 400);
  assert.equal((await failure('[[drafter unsure]] [[expert status 500]]')).status, 502);
  assert.equal((await failure('[[drafter unsure]] [[expert reset]]')).status, 502);
  const full = await failure('[[drafter status 429 7]]');
  assert.deepEqual([full.status, full.headers?.get('retry-after')], [503, '7']);
  const { client } = system;
  const messages = [{ role: 'user', content: 'a' }] as const;
  await assert.rejects(
    client.chat.completions.create({ model: 'nope', messages: [...messages] }),
    OpenAI.NotFoundError,
  );
  await assert.rejects(client.chat.completions.create({ model: 'test', messages: [] }), /'messages'/);
  const asked = client.chat.completions.create({ model: 'test', messages: [...messages], stream: 'yes' as never });
  await assert.rejects(asked, /Invalid type for 'stream': expected a boolean/);
});

/** Reads a stream to its end: its text, its last chunk, and how many there were. */
async function readChat(
  system: System,
  content: string,
  more: { stream_options?: { include_usage: boolean } } = {},
): Promise<{ text: string; chunks: (OpenAI.ChatCompletionChunk & Annotated)[] }> {
  const messages = [{ role: 'user' as const, content }];
  const stream = await system.client.chat.completions.create({ model: 'test', messages, stream: true, ...more });
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), chunks };
}

test('an accepted draft streams at once, an expert’s answer as it comes, both with what was decided in the last event', async () => {
  const system = await plain();
  const whole = await ask(system, 'a b c');
  const accepted = await readChat(system, 'a b c');
  assert.equal(accepted.text, whole.choices[0]?.message.content);
  assert.equal(accepted.chunks.at(-1)?.cascade?.role, 'drafter');
  assert.equal(accepted.chunks.filter(({ cascade }) => cascade !== undefined).length, 1);
  assert.ok(accepted.chunks.some(({ choices }) => choices[0]?.finish_reason === 'stop'));
  assert.equal(system.drafterModel.requests.at(-1)?.body['stream'], undefined, 'a draft is judged whole');

  const escalated = await readChat(system, '[[drafter unsure]] a b c', { stream_options: { include_usage: true } });
  assert.match(escalated.text, /^answer to/);
  assert.equal(escalated.chunks.at(-1)?.cascade?.role, 'expert');
  assert.ok(
    escalated.chunks.some(({ usage }) => (usage?.total_tokens ?? 0) > 0),
    'usage was asked for',
  );
  assert.equal(system.expertModel.requests.at(-1)?.body['stream'], true);
  const silent = await readChat(system, '[[drafter unsure]] d');
  assert.ok(
    silent.chunks.every(({ usage }) => usage == null),
    'usage was not asked for',
  );
});

test('the first words of an expert’s answer are there before it is whole', async () => {
  const first =
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"large","choices":[{"index":0,"delta":{"role":"assistant","content":"first"},"finish_reason":null}]}\n\n';
  const second =
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"large","choices":[{"index":0,"delta":{"content":" second"},"finish_reason":null}]}\n\n';
  const rest =
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"large","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
  let last: 'hang' | 'reset' = 'hang';
  await using system = await start(
    {},
    {
      expert: {
        answer: () => ({ kind: 'pieces', pieces: last === 'hang' ? [first, second, rest] : [first, second], last }),
      },
    },
  );
  const messages = [{ role: 'user' as const, content: '[[drafter unsure]] a' }];
  const stream = await system.client.chat.completions.create({ model: 'test', messages, stream: true });
  const seen: string[] = [];
  for await (const chunk of stream) {
    seen.push(chunk.choices[0]?.delta.content ?? '');
    // The server goes on only once its first words have arrived here.
    if (seen.length === 1) system.expertModel.release();
  }
  assert.deepEqual(seen.filter(Boolean), ['first', ' second']);

  last = 'reset';
  const broken = await system.client.chat.completions.create({ model: 'test', messages, stream: true });
  const got: string[] = [];
  await assert.rejects(async () => {
    for await (const chunk of broken) got.push(chunk.choices[0]?.delta.content ?? '');
  }, /broke off/);
  assert.deepEqual(got, ['first', ' second'], 'nothing is said twice: a broken stream is not begun again');
  assert.equal(system.expertModel.received, 2);
});

test('a response that breaks off ends with an error event, numbered behind the others', async () => {
  const created = { type: 'response.created', response: { id: 'r', status: 'in_progress', output: [] } };
  const delta = { type: 'response.output_text.delta', item_id: 'm', output_index: 0, content_index: 0, delta: 'first' };
  const pieces = [created, delta].map(
    (data, number) => `event: ${data.type}\ndata: ${JSON.stringify({ ...data, sequence_number: number })}\n\n`,
  );
  await using system = await start({}, { expert: { answer: () => ({ kind: 'pieces', pieces, last: 'reset' }) } });
  const stream = await system.client.responses
    .create({ model: 'test', input: '[[drafter unsure]] a', stream: true })
    .asResponse();
  assert.equal(stream.headers.get('x-accel-buffering'), 'no', 'a proxy in front passes the events on as they come');
  const [last = ''] = (await stream.text()).split('\n\n').slice(-2);
  assert.match(last, /^event: error\ndata: /);
  const { message, ...data } = JSON.parse(last.replace(/^.*\ndata: /, '')) as Record<string, unknown>;
  assert.deepEqual(data, { type: 'error', code: 'server_error', param: null, sequence_number: 2 });
  assert.match(String(message), /broke off/);
});

test('nothing that a model thinks is in an answer or in a stream, unless the request asks for it', async () => {
  const system = await plain();
  for (const prompt of ['[[think]]', '[[drafter unsure]] [[expert think]]', '[[drafter unsure]] [[expert harmony]]']) {
    const whole = await ask(system, prompt);
    assert.equal(whole.choices[0]?.message.content, 'four', prompt);
    assert.doesNotMatch(JSON.stringify(whole), /let me see/);
    const { text, chunks } = await readChat(system, prompt);
    assert.equal(text, 'four', prompt);
    assert.doesNotMatch(JSON.stringify(chunks), /let me see/);
    const response = await system.client.responses.create({ model: 'test', input: prompt, stream: true }).asResponse();
    const events = await response.text();
    assert.match(events, /"text":"four"/);
    assert.doesNotMatch(events, /let me see/);
    const completion = await system.client.completions.create({ model: 'test', prompt, stream: true }).asResponse();
    assert.doesNotMatch(await completion.text(), /let me see/);
    const asked = { messages: [{ role: 'user' as const, content: prompt }], include_reasoning: true };
    const kept = await system.client.chat.completions.create({ model: 'test', ...asked });
    const message: { content?: unknown; reasoning_content?: unknown } = kept.choices[0]?.message ?? {};
    assert.deepEqual([message.content, message.reasoning_content], ['four', 'let me see']);
    const stream = await system.client.chat.completions.create({ model: 'test', ...asked, stream: true });
    let thoughts = '';
    for await (const { choices } of stream) {
      thoughts += (choices[0]?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? '';
    }
    assert.equal(thoughts, 'let me see');
  }
  const unclosed = await ask(system, '[[drafter unclosed]]');
  assert.deepEqual([unclosed.cascade?.role, reasonOf(unclosed)], ['expert', 'unclosed_thought']);
  const failing = '[[drafter unsure]] [[expert unclosed]]';
  assert.match((await failureOf(readChat(system, failing))).message, /a thought that never ends/);
  assert.equal((await ask(system, '[[drafter unsure]] [[expert unclosed x1]]')).cascade?.role, 'expert');
});

test('what fails before the first event is answered with its status, also where a stream was asked for', async () => {
  const system = await plain();
  const failure = (content: string) => failureOf(readChat(system, content));
  assert.equal((await failure('[[drafter unsure]] [[expert status 400]]')).status, 400);
  assert.equal((await failure('[[drafter unsure]] [[expert status 500]]')).status, 502);
  assert.equal((await failure('[[drafter status 429 7]]')).status, 503);
});

test('Responses and the older completions stream too', async () => {
  const system = await plain();
  for (const [input, role] of [
    ['a', 'drafter'],
    ['[[drafter unsure]] a', 'expert'],
  ] as const) {
    const stream = await system.client.responses.create({ model: 'test', input, stream: true });
    const types: string[] = [];
    let text = '';
    let cascade: CascadeAnnotation | undefined;
    for await (const event of stream) {
      types.push(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') ({ cascade } = event.response as unknown as Annotated);
    }
    assert.match(text, /^answer to/);
    assert.deepEqual([types[0], types.at(-1)], ['response.created', 'response.completed']);
    assert.equal(cascade?.role, role);
    const completion = await system.client.completions.create({ model: 'test', prompt: input, stream: true });
    let last: Annotated = {};
    let written = '';
    for await (const chunk of completion) {
      written += chunk.choices[0]?.text ?? '';
      last = chunk as Annotated;
    }
    assert.match(written, /^answer to/);
    assert.equal(last.cascade?.role, role);
  }
});

test('whoever goes away is not answered: the call to the model ends too', async () => {
  const system = await plain();
  const { received } = system.drafterModel;
  const leaving = new AbortController();
  const call = system.client.chat.completions.create(
    { model: 'test', messages: [{ role: 'user', content: '[[hang]]' }] },
    { signal: leaving.signal },
  );
  await system.drafterModel.waitForRequests(received + 1);
  leaving.abort();
  await assert.rejects(call, OpenAI.APIUserAbortError);
  await until(async () => system.drafterModel.inFlight === 0);

  const messages = [{ role: 'user' as const, content: '[[drafter unsure]] [[expert slow 100]] a b c d e f g h' }];
  const stream = await system.client.chat.completions.create({ model: 'test', messages, stream: true });
  for await (const _chunk of stream) break;
  await until(async () => system.expertModel.inFlight === 0, 5_000);
});

test('an API that is told to stop finishes the answers in work, for as long as it may', async () => {
  await using patient = await start({ SPILLWAY_DRAIN_MS: '30000' });
  const answer = ask(patient, '[[hang]]');
  await patient.drafterModel.waitForRequests(1);
  const stopped = patient.services[0]?.stop();
  await patient.services[0]?.waitFor(({ msg }) => msg === 'stopping');
  const releasedAtMs = performance.now();
  patient.drafterModel.release();
  assert.equal((await answer).cascade?.role, 'drafter');
  assert.equal(await stopped, 0);
  assert.ok(performance.now() - releasedAtMs < 10_000, 'and ends then');

  await using hasty = await start({ SPILLWAY_DRAIN_MS: '100' });
  const cut = assert.rejects(ask(hasty, '[[hang]]'), OpenAI.APIConnectionError);
  await hasty.drafterModel.waitForRequests(1);
  const startedAtMs = performance.now();
  assert.equal(await hasty.services[0]?.stop(), 0);
  await cut;
  assert.ok(performance.now() - startedAtMs < 10_000);
});

test('clients that do not read their streams count among those that may ask at a time, until they leave', async () => {
  const chunk = (content: string, finish: string | null): string =>
    `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
  // More than what lies in sockets on the way to a client.
  const pieces = [...Array.from({ length: 750 }, () => chunk('x'.repeat(16_000), null)), chunk('', 'stop')];
  const expert = { answer: () => ({ kind: 'pieces' as const, pieces }), record: false };
  // A call that ran out of time would end its stream, and give its place back.
  const model = { concurrency: 64, timeout_s: 120 };
  await using system = await start({}, { expert, models: { small: model, large: model } });
  const leave = new AbortController();
  const body = JSON.stringify({
    model: 'test',
    stream: true,
    messages: [{ role: 'user', content: '[[drafter unsure]] a' }],
  });
  const stream = (): Promise<Response> =>
    fetch(`${system.client.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: leave.signal,
    });
  const answers = await Promise.all(Array.from({ length: 64 }, stream));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  const refused = await stream();
  assert.equal(refused.status, 429);
  assert.match(await refused.text(), /Too many answers are under way at once/);
  leave.abort();
  await until(async () => (await ask(system, 'sure').catch(() => null)) !== null);
});

test('what is streamed at once is taken by strict readers, whatever the model says; an unknown model is told the others', async () => {
  const pieces = ['{"role":"assistant","content":"a\\ud83d"}', '{"content":"\\ude00","\\ud83d":1}'].map(
    (delta) => `data: {"id":"c","choices":[{"index":0,"delta":${delta},"finish_reason":null}]}\r\n\r\n`,
  );
  const last = 'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n';
  await using system = await start(
    {},
    {
      drafter: { answer: () => ({ kind: 'status', status: 400 }) },
      expert: { answer: () => ({ kind: 'pieces', pieces: ['\uFEFF', ...pieces, last] }) },
    },
  );
  const body = JSON.stringify({ model: 'test', stream: true, messages: [{ role: 'user', content: 'a\ud83d' }] });
  const url = `${system.client.baseURL}/chat/completions`;
  const answer = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  const events = [...(await answer.text()).matchAll(/^data: (\{.*)$/gm)].map(([, data = '']) => strictParse(data));
  assert.equal(events.length, 3);
  assert.ok(JSON.stringify(events).includes('cascade'));
  const unknown = await failureOf(system.client.chat.completions.create({ model: 'x', messages: [] }));
  assert.deepEqual([unknown.status, unknown.code], [404, 'model_not_found']);
  assert.match(unknown.message, /The model 'x' does not exist\. Models are 'test'\./);
});
