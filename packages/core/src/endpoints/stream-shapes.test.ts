import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../text/json.ts';
import { ENDPOINTS, type EndpointUrl, type StreamEvent } from './index.ts';

const { '/v1/chat/completions': chat, '/v1/completions': completions, '/v1/responses': responses } = ENDPOINTS;
const LOGPROBS = 'message.output_text.logprobs';
const COUNTED: JsonObject = { stream: true, stream_options: { include_usage: true } };

function collect(url: EndpointUrl, events: readonly JsonObject[]): JsonObject | null {
  const collector = ENDPOINTS[url].stream.collect();
  for (const data of events) collector.push(data);
  return collector.body();
}

const dataOf = (events: readonly StreamEvent[]): JsonObject[] => events.map(({ data }) => data);

const entry = fc.record({ token: fc.string({ unit: 'grapheme' }), logprob: fc.integer({ max: 0 }) });

/** A chat stream of these pieces of one choice. */
const chunks = (...choices: readonly object[]): JsonObject[] =>
  choices.map((choice) => ({
    id: 'c1',
    object: 'chat.completion.chunk',
    model: 'm',
    choices: [{ index: 0, ...choice }],
  }));

const choiceOf = (body: JsonObject | null) => (body?.['choices'] as JsonObject[] | undefined)?.[0];

test('a text cut anywhere is the same text, and so are its log-probs', () => {
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(3)), (entries, sizes) => {
      const pieces: object[] = [];
      for (let at = 0, cut = 0; at < entries.length; cut += 1) {
        const some = entries.slice(at, at + Math.max(1, sizes[cut] ?? 1));
        at += some.length;
        const content = some.map(({ token }) => token).join('');
        pieces.push({ delta: { content }, logprobs: { content: some, refusal: null }, finish_reason: null });
      }
      const begin = { delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null };
      const end = { delta: {}, logprobs: null, finish_reason: 'stop' };
      assert.deepEqual(choiceOf(collect('/v1/chat/completions', chunks(begin, ...pieces, end))), {
        index: 0,
        message: { role: 'assistant', content: entries.map(({ token }) => token).join('') },
        logprobs: { content: entries, refusal: null },
        finish_reason: 'stop',
      });
    }),
  );
});

test('tool calls come piece by piece, in turns, and with or without a number', () => {
  const numbered = chunks(
    {
      delta: {
        role: 'assistant',
        content: '',
        tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } }],
      },
    },
    { delta: { tool_calls: [{ index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '' } }] } },
    {
      delta: {
        tool_calls: [
          { index: 1, function: { arguments: '{"y"' } },
          { index: 0, function: { arguments: '{}' } },
        ],
      },
    },
    { delta: { tool_calls: [{ index: 1, function: { arguments: ':1}' } }] }, finish_reason: 'tool_calls' },
  );
  const calls = [
    { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } },
    { id: 'b', type: 'function', function: { name: 'g', arguments: '{"y":1}' } },
  ];
  const whole = choiceOf(collect('/v1/chat/completions', numbered));
  assert.deepEqual(whole?.['message'], { role: 'assistant', content: null, tool_calls: calls });
  const unnumbered = chunks(
    { delta: { tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{' } }] } },
    { delta: { tool_calls: [{ function: { arguments: '}' } }] } },
    { delta: { tool_calls: [calls[1]] }, finish_reason: 'tool_calls' },
  );
  assert.deepEqual(choiceOf(collect('/v1/chat/completions', unnumbered))?.['message'], whole?.['message']);
});

test("servers' habits: an empty id first, a padding, usage in every chunk, an empty reason, parts for text", () => {
  const habits: JsonObject[] = [
    { id: '', created: 0, model: '', object: '', choices: [], prompt_filter_results: [{ x: 1 }] },
    {
      id: 'c1',
      created: 7,
      model: 'm',
      obfuscation: 'abc',
      usage: { total_tokens: 1 },
      choices: [{ index: 0, delta: { content: [{ type: 'thinking' }] }, finish_reason: '' }],
    },
    {
      id: 'c1',
      created: 7,
      model: 'm',
      usage: { total_tokens: 2 },
      choices: [{ delta: { content: 'yes', reasoning: 'hm' }, finish_reason: null }],
    },
    {
      id: 'c1',
      created: 7,
      model: 'm',
      usage: null,
      choices: [{ index: 0, delta: { reasoning: 'm' }, finish_reason: 'stop', stop_reason: null }],
    },
  ];
  assert.equal(collect('/v1/chat/completions', habits.slice(0, 3)), null);
  assert.deepEqual(collect('/v1/chat/completions', habits), {
    id: 'c1',
    created: 7,
    model: 'm',
    object: 'chat.completion',
    prompt_filter_results: [{ x: 1 }],
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: [{ type: 'thinking' }, { type: 'text', text: 'yes' }],
          reasoning: 'hmm',
        },
        finish_reason: 'stop',
        stop_reason: null,
      },
    ],
    usage: { total_tokens: 2 },
  });
});

test('a chat answer as the chunks that OpenAI would send', () => {
  const body = {
    id: 'c1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'yes', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { total_tokens: 3 },
  };
  const shared = { id: 'c1', created: 1, model: 'm', object: 'chat.completion.chunk', usage: null };
  const piece = (delta: JsonObject, finish: Json) => ({ index: 0, delta, logprobs: null, finish_reason: finish });
  assert.deepEqual(dataOf(chat.stream.events(body, COUNTED)), [
    { ...shared, choices: [piece({ role: 'assistant', content: '', refusal: null }, null)] },
    { ...shared, choices: [piece({ content: 'yes' }, null)] },
    { ...shared, choices: [piece({}, 'stop')] },
    { ...shared, choices: [], usage: { total_tokens: 3 } },
  ]);
  const plain = chat.stream.events(body, { stream: true });
  assert.equal(plain.length, 3);
  assert.ok(plain.every(({ event, data }) => event === null && !('usage' in data)));
  assert.deepEqual(chat.stream.annotate(plain[2]?.data ?? {}, { stage: 1 })['cascade'], { stage: 1 });
});

test('a response as the events that OpenAI would send, numbered and by name', () => {
  const part = { type: 'output_text', text: 'yes', annotations: [{ type: 'url_citation' }], logprobs: [] };
  const item = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [part] };
  const ending = { completed_at: 5, incomplete_details: { reason: 'max_output_tokens' }, usage: { total_tokens: 3 } };
  const body = { id: 'resp_1', object: 'response', status: 'incomplete', output: [item], ...ending };
  const events = responses.stream.events(body, {});
  assert.deepEqual(
    events.map(({ event }) => event),
    [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.annotation.added',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ],
  );
  assert.ok(events.every(({ event, data }, at) => data['type'] === event && data['sequence_number'] === at));
  const unsaid = { completed_at: null, incomplete_details: null, usage: null };
  assert.deepEqual(events[0]?.data['response'], { ...body, status: 'in_progress', output: [], ...unsaid });
  const last = responses.stream.annotate(events.at(-1)?.data ?? {}, { stage: 2 });
  assert.deepEqual(last['response'], { ...body, cascade: { stage: 2 } });
  assert.equal(responses.stream.end, null);
  assert.equal(chat.stream.end, '[DONE]');
});

test('a stream that broke off ends as OpenAI ends one: with the envelope, or with an event that is numbered, too', () => {
  const envelope = { error: { message: 'gone', type: 'server_error', param: null, code: 'server_error' } };
  for (const { stream } of [chat, completions]) {
    assert.deepEqual(stream.failed(envelope, { id: 'c1' }), { event: null, data: envelope });
  }
  const data = { type: 'error', code: 'server_error', message: 'gone', param: null, sequence_number: 8 };
  assert.deepEqual(responses.stream.failed(envelope, { sequence_number: 7 }), { event: 'error', data });
  assert.equal(responses.stream.failed(envelope, null).data['sequence_number'], 0);
});

test('a last event without output is completed by the items before it', () => {
  const item = { type: 'message', content: [{ type: 'output_text', text: 'yes' }] };
  const events: JsonObject[] = [
    { type: 'response.output_item.done', output_index: 1, item },
    { type: 'response.output_item.done', output_index: 0, item: { type: 'reasoning' } },
    { type: 'response.completed', response: { id: 'r', status: 'completed', output: [] } },
  ];
  assert.deepEqual(collect('/v1/responses', events)?.['output'], [{ type: 'reasoning' }, item]);
});

test('a client is shown what it asked for: no counts, no log-probs and no alternatives that it did not', () => {
  const counts = { choices: [], usage: { total_tokens: 3 } };
  assert.equal(chat.stream.show(counts, { stream: true }), null);
  assert.deepEqual(chat.stream.show(counts, COUNTED)?.data, counts);
  assert.equal(completions.stream.show(counts, { stream_options: null }), null);
  assert.equal(chat.stream.show({}, COUNTED), null);
  assert.equal(responses.stream.show({}, {}), null);
  const filtered = { choices: [], prompt_filter_results: [] };
  assert.deepEqual(chat.stream.show(filtered, {})?.data, filtered);

  const top = [{ token: 'a' }, { token: 'b' }];
  const logprobs = { content: [{ token: 'a', top_logprobs: top }] };
  const chunk = { choices: [{ index: 0, delta: {}, logprobs }], usage: null };
  assert.deepEqual(chat.stream.show(chunk, {})?.data, { choices: [{ index: 0, delta: {}, logprobs: null }] });
  const own = chat.stream.show(chunk, { logprobs: true, top_logprobs: 1 })?.data['choices'] as JsonObject[];
  assert.deepEqual(own[0]?.['logprobs'], { content: [{ token: 'a', top_logprobs: top.slice(0, 1) }] });

  const legacy = { tokens: ['a'], token_logprobs: [-3], top_logprobs: [{ b: -0.1, c: -2, a: -3 }] };
  const older = completions.stream.show({ choices: [{ text: 'a', logprobs: legacy }] }, { logprobs: 1 });
  const [choice] = (older?.data['choices'] ?? []) as JsonObject[];
  assert.deepEqual(choice?.['logprobs'], { ...legacy, top_logprobs: [{ b: -0.1, a: -3 }] });

  const delta = { type: 'response.output_text.delta', delta: 'a', logprobs: [{ token: 'a', top_logprobs: top }] };
  assert.deepEqual(responses.stream.show(delta, {}), { event: delta.type, data: { ...delta, logprobs: [] } });
  const asked = responses.stream.show(delta, { include: [LOGPROBS], top_logprobs: 1 })?.data;
  assert.deepEqual(asked?.['logprobs'], [{ token: 'a', top_logprobs: top.slice(0, 1) }]);
});
