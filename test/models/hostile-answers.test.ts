import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ENDPOINTS,
  LIMITS,
  ThoughtWatch,
  type EndpointUrl,
  type Json,
  type JsonObject,
  type Sliced,
} from '@spillway/core';
import { EventReader } from '../../packages/models/src/server-events.ts';
import { BodyText } from '../../packages/models/src/body-text.ts';
import { always, failed, setUp } from '../support/model-client.ts';
import { MAX_SLICE_CPU_MS, measureSlices } from '../support/slices.ts';

/** Answers that are made to be expensive, by their words; what a server lists as tokens is up to it. */
const WORDS: Readonly<Record<string, () => { readonly words: readonly string[]; readonly text?: string }>> = {
  'as many tokens as are looked at': () => ({ words: Array.from({ length: 60_000 }, () => ' word') }),
  'tokens of a byte-level vocabulary': () => ({
    words: Array.from({ length: 60_000 }, () => 'Ġword'),
    text: ' word'.repeat(60_000),
  }),
  'tokens with halves of characters': () => ({
    words: Array.from({ length: 60_000 }, () => '�'),
    text: 'é'.repeat(30_000),
  }),
  'an answer that is like itself everywhere': () => ({
    words: Array.from({ length: 60_000 }, () => 'a'),
    text: 'a'.repeat(20_000),
  }),
  'tokens that are nowhere in the text': () => ({
    words: Array.from({ length: 60_000 }, (_, at) => `x${at}`),
    text: 'y'.repeat(400_000),
  }),
  'empty tokens': () => ({ words: [...Array.from({ length: 60_000 }, () => ''), 'yes'], text: 'yes' }),
  'thought after thought': () => ({ words: ['<think>a</think>'.repeat(100_000), 'yes'] }),
  'plain thought after plain thought': () => ({ words: ['<thinking>a</thinking>'.repeat(50_000), 'yes'] }),
  'thoughts that begin and never end': () => ({ words: ['<think>'.repeat(200_000)] }),
  'ends of thoughts': () => ({ words: ['a</think>'.repeat(100_000)] }),
  'begun thoughts before an end': () => ({ words: [`a ${'b<think>'.repeat(200_000)}</think>`] }),
  'harmony without an end': () => ({ words: ['<|start|>assistant '.repeat(50_000)] }),
  'harmony channels': () => ({ words: [`<|channel|>final${' <|constrain|>'.repeat(50_000)}`] }),
  'harmony channels that are none': () => ({ words: ['<|channel|>final x'.repeat(50_000)] }),
  blanks: () => ({ words: [`${' '.repeat(1_000_000)}x`] }),
  'JSON with an end of a thought in it': () => ({ words: [`[${'{},'.repeat(20_000)}"</think>"]`] }),
};

function answerOf(url: EndpointUrl, words: readonly string[], text: string): JsonObject {
  const content = words.map((token) => ({
    token,
    logprob: -0.1,
    bytes: null,
    top_logprobs: [{ token, logprob: -0.1 }],
  }));
  if (url === '/v1/responses') {
    const parts = [{ type: 'output_text', text, annotations: [], logprobs: content }];
    return { id: 'r', status: 'completed', output: [{ type: 'message', role: 'assistant', content: parts }] };
  }
  const choice = { index: 0, finish_reason: 'stop', logprobs: { content } };
  return url === '/v1/completions'
    ? { id: 'a', choices: [{ ...choice, text }] }
    : { id: 'a', choices: [{ ...choice, message: { role: 'assistant', content: text } }] };
}

for (const [what, make] of Object.entries(WORDS)) {
  test(`reading an answer holds nobody up: ${what}`, () => {
    const { words, text = words.join('') } = make();
    const request = { messages: [{ role: 'user', content: 'x'.repeat(4_000_000) }], include_reasoning: true };
    for (const url of Object.keys(ENDPOINTS) as EndpointUrl[]) {
      const answer = answerOf(url, words, text);
      const asked = { wanted: true, top: 1 };
      const all: Sliced<unknown>[] = [
        ENDPOINTS[url].read(answer, request),
        ENDPOINTS[url].answer(answer, request, asked),
      ];
      for (const work of all) {
        const { longestCpuMs } = measureSlices(work);
        assert.ok(longestCpuMs < MAX_SLICE_CPU_MS, `${url}: ${Math.round(longestCpuMs)} ms`);
      }
    }
  });
}

test('more log-probs than are looked at are no evidence, and the answer is whole', () => {
  const words = Array.from({ length: LIMITS.judgedLogprobs / 2 + 1 }, () => 'a');
  const { result } = measureSlices(
    ENDPOINTS['/v1/chat/completions'].read(answerOf('/v1/chat/completions', words, words.join('')), {}),
  );
  assert.deepEqual([result?.text?.length, result?.tokens, result?.isTooLarge], [words.length, null, true]);
});

/** The least processor time that is compared with another: a collection of garbage is small beside it. */
const JUDGED_CPU_MS = 20;

/** How much processor time something takes for one size, of `size` or more, and for four times of it. */
function growthOf(work: (size: number) => void, size: number): number {
  const cpuMsOf = (count: number): number => {
    const before = process.threadCpuUsage();
    work(count);
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  };
  // The least of three: a collection of garbage falls into one of them, and may take more than the work.
  const leastOf = (count: number): number => Math.min(cpuMsOf(count), cpuMsOf(count), cpuMsOf(count));
  cpuMsOf(size);
  let [judged, once] = [size, leastOf(size)];
  while (once < JUDGED_CPU_MS) [judged, once] = [2 * judged, leastOf(2 * judged)];
  return leastOf(4 * judged) / once;
}

/** Streams that grow by many small events; with the square of their number four times as many take 16 times as long. */
const STREAMS: Readonly<Record<string, (at: number) => JsonObject>> = {
  blanks: () => ({ delta: { content: ' ' } }),
  'parts of a text': () => ({ delta: { content: [{ type: 'text', text: 'a' }] } }),
  'a call with many fields': (at) => ({ delta: { function_call: { [`k${at}`]: 'a', arguments: 'x' } } }),
  'tool calls with many fields': (at) => ({
    delta: { tool_calls: [{ index: 0, function: { [`k${at}`]: 'a', arguments: 'x' } }] },
  }),
  'many choices': (at) => ({ index: at, delta: { content: ' ' } }),
  reasoning: () => ({ delta: { reasoning_content: 'x' } }),
  'log-probs': () => ({ delta: { content: 'a' }, logprobs: { content: [{ token: 'a', logprob: -1 }] } }),
};

for (const [what, make] of Object.entries(STREAMS)) {
  test(`a stream costs as much as it is long: ${what}`, () => {
    const { stream, format } = ENDPOINTS['/v1/chat/completions'];
    const growth = growthOf((count) => {
      const collector = stream.collect();
      const request = { n: 1_000_000, response_format: { type: 'json_object' } };
      const watch = new ThoughtWatch({ stream, request, format: format(request), opensThoughts: false });
      for (let at = 0; at < count; at += 1) {
        const data = { choices: [{ index: 0, ...make(at) }] } as unknown as JsonObject;
        collector.push(data);
        watch.push(data);
      }
      collector.push({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] } as Json as JsonObject);
      collector.body();
      watch.release();
    }, 6_000);
    assert.ok(growth < 11, `four times as long takes ${growth.toFixed(1)} times the time`);
  });
}

test('an event that comes byte by byte, and a body that does, are put together in linear time', () => {
  const growth = growthOf((count) => {
    const reader = new EventReader();
    for (const piece of ['data: ', ...Array.from({ length: count }, () => 'x')])
      assert.deepEqual([...reader.push(piece)], []);
    assert.equal([...reader.push('\n\n')][0]?.data.length, count);
    const body = new BodyText();
    for (let at = 0; at < count; at += 1) body.push(Buffer.from(at % 2 === 0 ? [0xc3] : [0xa9]));
    assert.equal(body.end({ isCut: false }).length, count / 2);
  }, 50_000);
  assert.ok(growth < 11, `four times as long takes ${growth.toFixed(1)} times the time`);
});

test('an answer that is too deep or has too many values is a garbled one, streamed or not', async (t) => {
  const deep = '['.repeat(1_000_000);
  const wide = `[${'{},'.repeat(1_500_000)}{}]`;
  for (const [text, words] of [
    [`{"choices":${deep}`, 'an answer that is nested too deep'],
    [`{"choices":${wide}}`, 'an answer of too many values'],
    [`data: {"choices":${wide}}\n\n`, 'an answer of too many values'],
  ] as const) {
    const { ask } = await setUp(t, always({ kind: 'raw', body: text }));
    const calls = text.startsWith('data') ? [{ onEvent: () => undefined }] : [{}, { onEvent: () => undefined }];
    for (const call of calls) {
      const fault = failed(await ask('a', call));
      assert.ok(fault.kind === 'garbled' && fault.message === `200 with ${words}`, JSON.stringify(fault).slice(0, 200));
    }
  }
});
