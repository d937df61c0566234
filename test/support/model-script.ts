import type { Json, JsonObject } from '@spillway/core';
import { shapeOf, wantsLogprobs } from './model-shapes.ts';

/** What the model server does with one request. */
export type Scripted =
  | {
      readonly kind: 'completion';
      readonly text?: string | null;
      /** A number for every token, one number per token, or the raw `logprobs` of the choice, whatever its shape. */
      readonly logprobs?: Json;
      readonly finishReason?: string | null;
      readonly refusal?: string;
      readonly usage?: Json;
      /** Merged into the message, such as `tool_calls` or `reasoning_content`. */
      readonly message?: JsonObject;
      /** Beside the choices, such as an `error`. */
      readonly more?: JsonObject;
      /** An answer in one piece although a stream is asked for. */
      readonly streams?: false;
      readonly headers?: Record<string, string>;
    }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: Json;
      readonly headers?: Record<string, string>;
    }
  /** Any body as it is, by default with 200. */
  | {
      readonly kind: 'raw';
      readonly status?: number;
      readonly body: string | Uint8Array;
      readonly headers?: Record<string, string>;
    }
  /** A stream in just these pieces, however they cut its events; `hang`: it goes on, to its end, with `release()`. */
  | {
      readonly kind: 'pieces';
      readonly pieces: readonly (string | Uint8Array)[];
      readonly pauseMs?: number;
      readonly last?: 'end' | 'hang' | 'reset';
      readonly headers?: Record<string, string>;
    }
  /** No answer until `release()`. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset'; readonly when: 'before_headers' | 'after_headers' }
  | { readonly kind: 'not_http' }
  /** An answer that begins well and goes on for a gigabyte. */
  | { readonly kind: 'endless' }
  /** A body, or a stream if one is asked for, that comes in pieces of 100 bytes. */
  | { readonly kind: 'slow'; readonly pauseMs: number };

const SURE = -0.01;
const UNSURE = -2;

type Directive = (numbers: readonly number[]) => Scripted;

/**
 * What can stand in a prompt between `[[` and `]]`. Each may begin with a role (`[[expert status 400]]`: only a server
 * of that role obeys) and end with `x<n>` (`[[status 500 x2]]`: only the first n requests with this prompt).
 */
const DIRECTIVES: Readonly<Record<string, Directive>> = {
  confident: () => ({ kind: 'completion' }),
  unsure: () => ({ kind: 'completion', logprobs: UNSURE }),
  logprob: ([value = SURE]) => ({ kind: 'completion', logprobs: value }),
  truncate: () => ({ kind: 'completion', finishReason: 'length' }),
  filter: () => ({ kind: 'completion', finishReason: 'content_filter' }),
  refuse: () => ({ kind: 'completion', text: null, refusal: 'I cannot help with that.' }),
  empty: () => ({ kind: 'completion', text: '' }),
  nologprobs: () => ({ kind: 'completion', logprobs: null }),
  zerologprobs: () => ({ kind: 'completion', logprobs: 0 }),
  cutlogprobs: () => ({ kind: 'completion', text: 'the total is 12', logprobs: { content: [tokenOf('the', SURE)] } }),
  laterzeros: () => ({ kind: 'completion', logprobs: [-0.2, 0, 0, 0] }),
  modellength: () => ({ kind: 'completion', finishReason: 'model_length' }),
  errorbeside: () => ({ kind: 'completion', more: { error: { message: 'Provider disconnected', code: 502 } } }),
  think: () => ({ kind: 'completion', text: '<think> let me see </think> four' }),
  openthink: () => ({ kind: 'completion', text: 'let me see </think> four' }),
  harmony: () => ({
    kind: 'completion',
    text: '<|channel|>analysis<|message|> let me see <|end|><|start|>assistant<|channel|>final<|message|> four',
  }),
  unclosed: () => ({ kind: 'completion', text: '<think> so first let me see' }),
  badjson: () => ({ kind: 'completion', text: '{"total": 10.' }),
  json: () => ({ kind: 'completion', text: '{"total": 10.15}' }),
  tool: () => ({
    kind: 'completion',
    text: null,
    logprobs: null,
    finishReason: 'tool_calls',
    message: { tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }] },
  }),
  status: ([status = 500, retryAfterS]) => ({
    kind: 'status',
    status,
    ...(retryAfterS === undefined ? {} : { headers: { 'retry-after': String(retryAfterS) } }),
  }),
  garbage: () => ({ kind: 'raw', body: '<html>It works!</html>' }),
  hang: () => ({ kind: 'hang' }),
  reset: () => ({ kind: 'reset', when: 'before_headers' }),
  cut: () => ({ kind: 'reset', when: 'after_headers' }),
  endless: () => ({ kind: 'endless' }),
  slow: ([pauseMs = 10]) => ({ kind: 'slow', pauseMs }),
};

/** What servers of a test are for; a directive may be for one of them. */
const ROLES: ReadonlySet<string> = new Set(['drafter', 'middle', 'expert']);

/** The first directive that applies; a bare number means a status, so `[[expert 400]]` is `[[expert status 400]]`. */
export function scriptOf(asked: {
  readonly prompt: string;
  readonly attempt: number;
  readonly role: string;
}): Scripted {
  for (const [, inside = ''] of asked.prompt.matchAll(/\[\[([^[\]]*)\]\]/g)) {
    const words = inside.trim().split(/\s+/);
    if (ROLES.has(words[0] ?? '')) {
      if (words.shift() !== asked.role) continue;
    }
    const times = /^x(\d+)$/.exec(words.at(-1) ?? '');
    if (times !== null) {
      words.pop();
      if (asked.attempt > Number(times[1])) continue;
    }
    if (/^\d+$/.test(words[0] ?? '')) words.unshift('status');
    const [name = '', ...rest] = words;
    const directive = DIRECTIVES[name];
    if (directive === undefined) throw new Error(`unknown directive [[${inside}]]`);
    return directive(rest.map(Number));
  }
  return { kind: 'completion' };
}

/** The body of a completion, in the shape of its address; log-probs only if the request asked for them, as servers do. */
export function completionBody(
  scripted: Extract<Scripted, { kind: 'completion' }>,
  asked: { readonly url: string; readonly body: JsonObject; readonly prompt: string },
): JsonObject {
  const text = scripted.text === undefined ? `answer to ${asked.prompt.length} chars` : scripted.text;
  const tokens = text?.match(/\s*\S+|\s+/g) ?? [];
  const wants = wantsLogprobs(asked.url, asked.body) && text !== null;
  const chat: JsonObject = {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: asked.body['model'] ?? null,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: text, refusal: scripted.refusal ?? null, ...scripted.message },
        logprobs: wants ? logprobsOf(tokens, scripted.logprobs === undefined ? SURE : scripted.logprobs) : null,
        finish_reason: scripted.finishReason === undefined ? 'stop' : scripted.finishReason,
      },
    ],
    usage: scripted.usage ?? usageOf(Math.ceil(asked.prompt.length / 4), tokens.length),
  };
  return { ...shapeOf(asked.url, chat), ...scripted.more };
}

function logprobsOf(tokens: readonly string[], given: Json): Json {
  const perToken = typeof given === 'number' ? tokens.map(() => given) : given;
  if (!Array.isArray(perToken)) return perToken;
  return {
    content: tokens.map((token, at) => tokenOf(token, perToken[at] ?? null)),
  };
}

const tokenOf = (token: string, logprob: Json): JsonObject => ({
  token,
  logprob,
  bytes: [...Buffer.from(token)],
  top_logprobs: [],
});

function usageOf(input: number, output: number): JsonObject {
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}
