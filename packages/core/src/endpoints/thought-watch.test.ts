import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../text/json.ts';
import { ENDPOINT_URLS, ENDPOINTS, ThoughtWatch, type EndpointUrl } from './index.ts';

const CHAT = '/v1/chat/completions';

/** Events that say these pieces of a text. */
const EVENTS: Readonly<Record<EndpointUrl, (pieces: readonly string[]) => JsonObject[]>> = {
  '/v1/chat/completions': (pieces) => [
    { choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] },
    ...pieces.map((content) => ({ choices: [{ index: 0, delta: { content } }] })),
    { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  ],
  '/v1/completions': (pieces) => pieces.map((text) => ({ choices: [{ index: 0, text }] })),
  '/v1/responses': (pieces) => [
    { type: 'response.created', response: {} },
    ...pieces.map((delta) => ({ type: 'response.output_text.delta', output_index: 0, delta })),
    { type: 'response.completed', response: {} },
  ],
};

function watchOf(url: EndpointUrl, request: JsonObject = {}, opensThoughts = false): ThoughtWatch {
  const { stream, format } = ENDPOINTS[url];
  return new ThoughtWatch({ stream, request, format: format(request), opensThoughts });
}

/** The events that a watch passes on while they come. */
const passed = (watch: ThoughtWatch, events: readonly JsonObject[]): JsonObject[] =>
  events.flatMap((data) => watch.push(data));

function cut(text: string, sizes: readonly number[]): string[] {
  const pieces: string[] = [];
  for (let at = 0, turn = 0; at < text.length; turn += 1) {
    const size = 1 + (sizes[turn % Math.max(1, sizes.length)] ?? 0);
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

const url = fc.constantFrom(...ENDPOINT_URLS);
const sizes = fc.array(fc.nat(8), { maxLength: 5 });

test('of a text that begins with a thought no event is shown, however it is cut', () => {
  const begin = fc.constantFrom(
    '<think>',
    ' \n<think>',
    '<|channel|>analysis<|message|>',
    '<|start|>assistant',
    '[THINK]',
    'analysis',
    'commentary',
  );
  fc.assert(
    fc.property(url, begin, fc.string(), sizes, (endpoint, open, rest, some) => {
      assert.deepEqual(passed(watchOf(endpoint), EVENTS[endpoint](cut(open + rest, some))), []);
    }),
  );
});

test('any other text is shown as it comes, all its events in their order', () => {
  fc.assert(
    fc.property(url, fc.stringMatching(/^[b-z<>{]*$/), sizes, (endpoint, rest, some) => {
      const events = EVENTS[endpoint](cut(`four${rest}`, some));
      assert.deepEqual(passed(watchOf(endpoint), events), events);
    }),
  );
});

test('what is held back is there when the answer turns out to have no thought in it', () => {
  fc.assert(
    fc.property(url, fc.string(), sizes, fc.boolean(), (endpoint, text, some, opensThoughts) => {
      const events = EVENTS[endpoint](cut(text, some));
      const watch = watchOf(endpoint, {}, opensThoughts);
      assert.deepEqual([...passed(watch, events), ...watch.release()], events);
    }),
  );
});

test('where the beginning of a thought is in the prompt, what may be one is held to the end', () => {
  const events = EVENTS[CHAT](['let me see', '</think>', 'four']);
  assert.deepEqual(passed(watchOf(CHAT, {}, true), events), []);
  assert.deepEqual(passed(watchOf(CHAT, { chat_template_kwargs: { enable_thinking: true } }), events), []);
  assert.deepEqual(passed(watchOf(CHAT, { response_format: { type: 'json_object' } }), events), []);
  const json = EVENTS[CHAT](['{"a":', ' 1}']);
  assert.deepEqual(passed(watchOf(CHAT, { response_format: { type: 'json_object' } }), json), json);
  assert.deepEqual(passed(watchOf(CHAT), events), events, 'nothing says so');
});

test('thoughts that a server says beside the text are shown, and so are calls', () => {
  for (const delta of [{ reasoning_content: 'two and two' }, { tool_calls: [{ index: 0 }] }, { refusal: 'no' }]) {
    const events = [{ choices: [{ index: 0, delta }] }];
    assert.deepEqual(passed(watchOf(CHAT), events), events);
  }
  const reasoning = [{ type: 'response.reasoning_text.delta', delta: 'two' }];
  assert.deepEqual(passed(watchOf('/v1/responses'), reasoning), reasoning);
});

test('of several answers none is shown before all have begun, and none if one begins with a thought', () => {
  const piece = (index: number, content: string): JsonObject => ({ choices: [{ index, delta: { content } }] });
  const plain = [piece(0, 'four'), piece(1, 'five'), piece(0, '!')];
  const watch = watchOf(CHAT, { n: 2 });
  assert.deepEqual(
    plain.map((data) => watch.push(data).length),
    [0, 2, 1],
  );
  assert.deepEqual(passed(watchOf(CHAT, { n: 2 }), [piece(0, 'four'), piece(1, '<think>'), piece(1, 'hm')]), []);
});
