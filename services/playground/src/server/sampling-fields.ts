import { randomUUID } from 'node:crypto';
import type { GenerationRequest } from '../engine/generation.ts';
import type { DecoderShape } from '../engine/decoder.ts';
import type { Body } from './fields.ts';
import { readBoolean, readInteger, readNumber, readStops } from './fields.ts';
import { invalidField, tooLong } from './protocol-error.ts';

/** More likely tokens than this are not shown for a position, as at OpenAI. */
export const MOST_TOP_LOGPROBS = 20;
const MOST_CHOICES = 8;

/** Far beyond the context: what lies between is refused as too long, and this as no number of tokens at all. */
const MOST_ASKED = 1_000_000;

export interface StreamFields {
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

export function readStreamFields(body: Body): StreamFields {
  const options = body['stream_options'];
  const includeUsage =
    typeof options === 'object' && options !== null && Reflect.get(options, 'include_usage') === true;
  return { stream: readBoolean(body, 'stream') ?? false, includeUsage };
}

/** vLLM's rule: scores of the prompt cannot be streamed, unless only the prompt's own tokens are scored. */
export function readPromptLogprobs(body: Body, stream: boolean): number | undefined {
  const count = readInteger(body, 'prompt_logprobs', 0, MOST_TOP_LOGPROBS);
  if (stream && count !== undefined && count > 0) throw invalidField('prompt_logprobs', '0 or absent when streaming');
  return count;
}

/** The fields that chat and plain completions share; `defaultMaxTokens` is what is written without a limit of the caller's. */
export function readSampling(
  body: Body,
  prompt: readonly number[],
  shape: DecoderShape,
  reports: {
    readonly topLogprobs: number;
    readonly promptLogprobs: number | undefined;
    readonly defaultMaxTokens: number;
    readonly param: string;
  },
): GenerationRequest {
  const room = shape.contextTokens - prompt.length;
  const asked =
    readInteger(body, 'max_completion_tokens', 0, MOST_ASKED) ?? readInteger(body, 'max_tokens', 0, MOST_ASKED);
  // Like vLLM: a limit that could not be kept is refused, not silently lowered.
  if (room < (asked ?? 1)) throw tooLong(shape.contextTokens, prompt.length, asked ?? 1, reports.param);
  const seed = readInteger(body, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  return {
    prompt,
    choices: readInteger(body, 'n', 1, MOST_CHOICES) ?? 1,
    maxTokens: asked ?? Math.min(reports.defaultMaxTokens, room),
    temperature: readNumber(body, 'temperature', 0, 2) ?? 1,
    topP: readNumber(body, 'top_p', 0, 1) ?? 1,
    seed: seed === undefined ? randomUUID() : String(seed),
    stops: readStops(body),
    topLogprobs: reports.topLogprobs,
    promptLogprobs: reports.promptLogprobs,
  };
}
