import { contentTokens, readTokens, type TokenLogprob } from './completion-tokens.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

export type { TokenLogprob, TopLogprob } from './completion-tokens.ts';

export type Usage = {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
};

/** What a model answered, read once from whatever shape its server uses. */
export type Completion = {
  readonly text: string | null;
  readonly finishReason: string | null;
  readonly refusal: string | null;
  readonly toolCall: boolean;
  /** The tokens of `text` alone: no end mark, no reasoning. Null when the server gave none that can be used. */
  readonly tokens: readonly TokenLogprob[] | null;
  /** How many answers the body holds; `text` and `tokens` are the first one's. */
  readonly choices: number;
  readonly model: string | null;
  readonly id: string | null;
  readonly usage: Usage;
};

/**
 * Reads the body of a 200 that has choices, as chat completions and the older completions do. Null means that it is
 * not a completion: no choices, no message, or an answer that the server itself calls broken off (vLLM and SGLang say
 * `abort` when they shut down, routers say `error`). What the server `echoed` of the prompt is no part of the answer.
 */
export function readChoice(body: unknown, echoed = ''): Completion | null {
  if (!isJsonObject(body)) return null;
  const choices = body['choices'];
  if (!Array.isArray(choices)) return null;
  const choice: Json | undefined = choices[0];
  if (!isJsonObject(choice) || isJsonObject(choice['error'])) return null;
  const finishReason = textOf(choice['finish_reason']);
  if (finishReason === 'abort' || finishReason === 'error') return null;
  const message = messageOf(choice);
  if (message === null) return null;

  const said = contentOf(message['content']);
  const text = said?.startsWith(echoed) === true ? said.slice(echoed.length) : said;
  const usage = readUsage(body['usage']);
  const tokens = text === null || text === '' ? null : readTokens(choice['logprobs']);
  return {
    text,
    finishReason,
    refusal: textOf(message['refusal']),
    toolCall: callsTool(message, finishReason),
    tokens: tokens === null || text === null ? null : contentTokens(tokens, text, hasReasoned(message, usage)),
    choices: choices.length,
    model: textOf(body['model']),
    id: textOf(body['id']),
    usage,
  };
}

/** A chat answer has a message; the older completions shape has the text in the choice itself. */
function messageOf(choice: JsonObject): JsonObject | null {
  if (isJsonObject(choice['message'])) return choice['message'];
  const text = choice['text'];
  return typeof text === 'string' ? { content: text } : null;
}

/** Some servers answer with a list of parts where the others have a string. */
function contentOf(content: Json | undefined): string | null {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return null;
  const parts = content.flatMap((part: Json) =>
    isJsonObject(part) && typeof part['text'] === 'string' ? [part['text']] : [],
  );
  return parts.length === 0 ? null : parts.join('');
}

function callsTool(message: JsonObject, finishReason: string | null): boolean {
  const calls = message['tool_calls'];
  if (Array.isArray(calls) && calls.length > 0) return true;
  return isJsonObject(message['function_call']) || finishReason === 'tool_calls' || finishReason === 'function_call';
}

function hasReasoned(message: JsonObject, usage: Usage): boolean {
  const thoughts = textOf(message['reasoning_content']) ?? textOf(message['reasoning']);
  return thoughts !== null || usage.reasoningTokens > 0;
}

/** An empty string says as little as null. */
export function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

export function readUsage(usage: Json | undefined): Usage {
  const counts = isJsonObject(usage) ? usage : {};
  const input = counts['prompt_tokens_details'] ?? counts['input_tokens_details'];
  const output = counts['completion_tokens_details'] ?? counts['output_tokens_details'];
  return {
    inputTokens: countOf(counts['prompt_tokens'] ?? counts['input_tokens']),
    cachedTokens: countOf(isJsonObject(input) ? input['cached_tokens'] : undefined),
    outputTokens: countOf(counts['completion_tokens'] ?? counts['output_tokens']),
    reasoningTokens: countOf(isJsonObject(output) ? output['reasoning_tokens'] : counts['reasoning_tokens']),
  };
}

/** More tokens than any context holds. */
const MAX_TOKENS = 100_000_000;

/** Usage is added up and paid for: what cannot be a count is none. */
function countOf(value: Json | undefined): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_TOKENS ? value : 0;
}
