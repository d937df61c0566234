import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAtOnce } from '../text/slices.ts';
import { scoreDraft, type EscalationReason, type SignalSpec } from '../confidence/index.ts';
import type { JsonObject } from '../text/json.ts';
import { ENDPOINTS, type EndpointUrl } from './index.ts';

/** A response as a real server shapes it, where that is written down, and what a draft in it is worth. */
type Shape = {
  readonly server: string;
  /** A published schema, or a public issue or pull request that shows the shape. */
  readonly source: string;
  readonly endpoint?: EndpointUrl;
  readonly request?: JsonObject;
  readonly body: unknown;
  /** The sum of the log-probs of the answer's text; a reason: no evidence; null: it is no completion. */
  readonly sum: number | EscalationReason | null;
  /** The margin at the weakest token, where alternatives are listed. */
  readonly margin?: number | EscalationReason;
};

type Entry = { token: string; logprob: number | null | string; bytes?: number[] | null; top_logprobs?: unknown };

const chat = (content: string | null, logprobs: unknown, more: object = {}): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content, ...more }, logprobs, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
});

const entry = (token: string, logprob: Entry['logprob'], top: unknown = []): Entry => ({
  token,
  logprob,
  bytes: [...Buffer.from(token)],
  top_logprobs: top,
});

const other = (token: string, logprob: number): object => ({ token, logprob, bytes: [...Buffer.from(token)] });

const CORPUS: readonly Shape[] = [
  {
    server: 'OpenAI, chat',
    source: 'https://platform.openai.com/docs/api-reference/chat/object (published schema)',
    body: chat('Hello!', {
      content: [
        entry('Hello', -0.1, [other('Hello', -0.1), other('Hi', -2.5)]),
        entry('!', -0.2, [other('!', -0.2), other('.', -1.8)]),
      ],
      refusal: null,
    }),
    sum: -0.3,
    margin: 1.6,
  },
  {
    server: 'OpenAI, chat: a token outside of the alternatives is −9999',
    source: 'https://github.com/davidmigloz/langchain_dart/pull/535',
    body: chat('Hello', { content: [entry('Hello', -9999, [other('Hi', -0.1), other('Hey', -2.5)])], refusal: null }),
    sum: -9999,
    margin: 2.4,
  },
  {
    server: 'OpenAI, a refusal has log-probs of its own',
    source: 'https://platform.openai.com/docs/api-reference/chat/object (published schema)',
    body: chat(null, { content: null, refusal: [entry('I', -0.1)] }, { refusal: 'I cannot help with that.' }),
    sum: 'refused',
  },
  {
    server: 'OpenAI, responses',
    source: 'https://github.com/llm-d/llm-d-inference-sim/issues/462',
    endpoint: '/v1/responses',
    body: {
      id: 'resp_1',
      object: 'response',
      status: 'completed',
      model: 'm',
      output: [
        {
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: '根据', annotations: [], logprobs: [entry('根据', -3.77)] }],
        },
      ],
    },
    sum: -3.77,
    margin: 'no_alternatives',
  },
  {
    server: 'LM Studio, responses: asked for, and empty',
    source: 'https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1420',
    endpoint: '/v1/responses',
    body: {
      id: 'resp_1',
      object: 'response',
      status: 'completed',
      model: 'google/gemma-3-4b',
      output: [
        {
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Google', annotations: [], logprobs: [] }],
        },
      ],
      error: null,
    },
    sum: 'no_logprobs',
  },
  {
    server: 'LM Studio, chat: the request is taken and the field is left out',
    source: 'https://github.com/lmstudio-ai/lms/issues/60',
    body: {
      id: 'chatcmpl-1',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
    },
    sum: 'no_logprobs',
  },
  {
    server: 'vLLM, chat: constrained decoding makes −inf of most alternatives, written as −9999',
    source: 'https://github.com/vllm-project/vllm/pull/4149',
    body: chat('positive.', {
      content: [
        entry('pos', -0.25, [other('pos', -0.25), other('neg', -1.5), other('the', -9999)]),
        entry('itive', 0, []),
        entry('.', 0, [other('.', 0)]),
      ],
    }),
    sum: -0.25,
    margin: 'no_alternatives',
  },
  {
    server: 'vLLM, early: chat answers with the arrays of the older completions, and ▁ for a space',
    source: 'https://github.com/vllm-project/vllm/pull/2918',
    body: chat('Hello!', {
      content: null,
      text_offset: [0, 1, 7],
      tokens: ['▁', '▁Hello', '!'],
      token_logprobs: [-0.1, -0.2, -0.3],
      top_logprobs: null,
    }),
    // The mark is a space, and the one that the server trimmed counts, too.
    sum: -0.6,
    margin: 'no_alternatives',
  },
  {
    server: 'vLLM, shutting down: an answer that was broken off is none',
    source: 'vllm/v1/request.py: the finish reasons are stop, length, abort',
    body: { ...chat('Hel', null), choices: [{ index: 0, message: { content: 'Hel' }, finish_reason: 'abort' }] },
    sum: null,
  },
  {
    server: 'SGLang, completions: −inf as null',
    source: 'https://github.com/sgl-project/sglang/pull/20323',
    endpoint: '/v1/completions',
    request: { prompt: 'x' },
    body: {
      id: 'cmpl-1',
      object: 'text_completion',
      choices: [
        {
          index: 0,
          text: ' a b',
          logprobs: {
            text_offset: [],
            tokens: [' a', ' b'],
            token_logprobs: [-0.5, null],
            top_logprobs: [
              { ' a': -0.5, ' c': -1.5 },
              { ' b': null, ' d': -0.1 },
            ],
          },
          finish_reason: 'stop',
        },
      ],
    },
    sum: -0.5 - 9999,
  },
  {
    server: 'SGLang with a reasoning parser: no log-probs at all',
    source: 'https://github.com/sgl-project/sglang/issues/28456',
    body: chat('12', null, { reasoning_content: 'three times four' }),
    sum: 'no_logprobs',
  },
  {
    server: 'a server that reasons: thoughts are in the log-probs and not in the answer',
    source: 'https://github.com/sgl-project/sglang/issues/28456',
    body: chat(
      '12',
      { content: [entry('3', -5), entry('×', -5), entry('4', -5), entry('\n', -5), entry('12', -0.4)] },
      { reasoning_content: '3×4' },
    ),
    sum: -0.4,
  },
  {
    server: 'llama.cpp, completions before 2025: null although asked for',
    source: 'https://github.com/ggml-org/llama.cpp/issues/11346',
    endpoint: '/v1/completions',
    request: { prompt: 'something' },
    body: {
      choices: [{ text: ' Ge', index: 0, logprobs: null, finish_reason: 'stop' }],
      model: 'gpt-3.5-turbo',
      object: 'text_completion',
    },
    sum: 'no_logprobs',
  },
  {
    server: 'llama.cpp, chat: an id beside each token, and the end mark as a token without characters',
    source: 'https://github.com/ggml-org/llama.cpp/pull/10783',
    body: chat('Hi', {
      content: [
        {
          id: 11,
          ...entry('Hi', -0.3, [
            { id: 11, ...other('Hi', -0.3) },
            { id: 12, ...other('Hey', -1.9) },
          ]),
        },
        { id: 2, token: '', logprob: -4, bytes: [], top_logprobs: [] },
      ],
    }),
    sum: -0.3,
    margin: 1.6,
  },
  {
    server: 'llama.cpp, greedy: every log-prob is exactly 0',
    source: 'https://github.com/ggml-org/llama.cpp/pull/10783',
    body: chat('Hi', { content: [entry('Hi', 0), entry('', 0)] }),
    sum: 'zero_logprobs',
  },
  {
    server: 'speculative decoding: the first token has its log-prob, and those that were guessed are 0',
    source: 'no public report found; kept because it was once seen',
    body: chat('Hi there you', { content: [entry('Hi', -0.2), entry(' there', 0), entry(' you', 0)] }),
    sum: 'zero_logprobs',
  },
  {
    server: 'SGLang, speculative decoding: the log-prob of the first token only',
    source: 'https://github.com/sgl-project/sglang/pull/14046',
    body: chat('Hi there you', { content: [entry('Hi', -0.1)] }),
    sum: 'partial_logprobs',
  },
  {
    server: 'Hugging Face tokens: Ġ for a space and Ċ for the line, without bytes',
    source: 'https://github.com/InternLM/lmdeploy/issues/2802',
    body: chat('Hi there\né', {
      content: ['Hi', 'Ġthere', 'Ċ', 'Ã©'].map((token) => ({ token, logprob: -0.25, top_logprobs: [] })),
    }),
    sum: -1,
  },
  {
    server: 'llama-cpp-python: chat answers with the arrays of the older completions',
    source: 'https://github.com/abetlen/llama-cpp-python/issues/1787',
    body: chat('Hello there', {
      text_offset: [0, 5],
      tokens: ['Hello', ' there'],
      token_logprobs: [-0.25, -0.5],
      top_logprobs: [
        { Hello: -0.25, Hi: -1.75 },
        { ' there': -0.5, '!': -1 },
      ],
    }),
    sum: -0.75,
    margin: 0.5,
  },
  {
    server: 'Ollama, chat',
    source: 'https://github.com/ollama/ollama/pull/16867',
    body: chat('4', { content: [{ token: '4', logprob: -0.02, top_logprobs: [{ token: '4', logprob: -0.02 }] }] }),
    sum: -0.02,
    // Only one alternative is listed: the next has no more than what is left over.
    margin: -0.02 - Math.log(1 - Math.exp(-0.02)),
  },
  {
    server: 'Ollama Cloud: taken and left out',
    source: 'https://github.com/ollama/ollama/issues/13638',
    body: chat('4', null),
    sum: 'no_logprobs',
  },
  {
    server: 'TGI, chat: no bytes, alternatives empty',
    source: 'https://github.com/huggingface/text-generation-inference/pull/1682',
    body: chat('**Deep', {
      content: [
        { token: '**', logprob: -0.22558594, top_logprobs: [] },
        { token: 'Deep', logprob: -0.0014877319, top_logprobs: [] },
      ],
    }),
    sum: -0.2270736719,
    margin: 'no_alternatives',
  },
  {
    server: 'Together, chat: parallel arrays without alternatives',
    source: 'https://docs.together.ai/reference/chat-completions-1 (published schema, from memory)',
    body: chat('Hi!', { tokens: ['Hi', '!'], token_logprobs: [-0.5, -0.25], token_ids: [1, 2] }),
    sum: -0.75,
    margin: 'no_alternatives',
  },
  {
    server: 'Fireworks, chat: more keys beside each token',
    source: 'https://docs.fireworks.ai/api-reference/post-chatcompletions (published schema, from memory)',
    body: chat('Hi', {
      content: [
        {
          ...entry('Hi', -0.5, [
            { ...other('Hi', -0.5), token_id: 1 },
            { ...other('Yo', -1), token_id: 2 },
          ]),
          sampling_logprob: null,
          text_offset: 3,
          token_id: 1,
        },
      ],
    }),
    sum: -0.5,
    margin: 0.5,
  },
  {
    server: 'LMDeploy: the chosen token is not among its alternatives, which carry Ġ for a space',
    source: 'https://github.com/InternLM/lmdeploy/issues/2802',
    body: chat('Hello', {
      content: [entry('Hello', -0.00006, [other('Hi', -9.85), { token: 'ĠHello', logprob: -12.2, bytes: [196, 160] }])],
    }),
    sum: -0.00006,
    margin: 9.84994,
  },
  {
    server: 'a number written as text',
    source: 'no public report found; kept because it was once seen',
    body: chat('Hi', { content: [entry('Hi', '-0.5')] }),
    sum: -0.5,
  },
  {
    server: 'a tool call',
    source: 'https://platform.openai.com/docs/api-reference/chat/object (published schema)',
    body: {
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function' }] },
          logprobs: null,
          finish_reason: 'tool_calls',
        },
      ],
    },
    sum: 'tool_call',
  },
];

for (const shape of CORPUS) {
  test(`${shape.server} (${shape.source})`, () => {
    const { endpoint = '/v1/chat/completions', request = {}, body, sum, margin } = shape;
    const completion = ENDPOINTS[endpoint].read(body, request);
    if (sum === null || completion === null) {
      assert.equal(completion, sum);
      return;
    }
    const judged = (signal: SignalSpec): number | EscalationReason => {
      const scored = runAtOnce(scoreDraft({ completion, endpoint, request }, { signal, calibration: null }));
      return scored.kind === 'scored' ? scored.score : scored.reason;
    };
    const check = (found: number | EscalationReason, wanted: number | EscalationReason): void => {
      if (typeof found === 'number' && typeof wanted === 'number') {
        assert.ok(Math.abs(found - wanted) < 1e-6, `${found} for ${wanted}`);
      } else assert.equal(found, wanted);
    };
    check(judged({ name: 'sum_logprob' }), sum);
    if (margin !== undefined) check(judged({ name: 'margin', over: 'min' }), margin);
  });
}

test('every server of the promise is in the corpus', () => {
  const servers = CORPUS.map(({ server }) => server).join(' ');
  for (const name of ['OpenAI', 'vLLM', 'SGLang', 'llama.cpp', 'Ollama', 'TGI', 'Together', 'Fireworks', 'LM Studio']) {
    assert.ok(servers.includes(name), name);
  }
});
