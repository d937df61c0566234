import { randomUUID } from 'node:crypto';
import type { GenerationRequest } from '../engine/generation.ts';
import type { DecoderShape } from '../engine/decoder.ts';
import type { Body } from './fields.ts';
import { readBoolean, readInteger, readNumber, readStops } from './fields.ts';
import { invalidField, tooLong } from './protocol-error.ts';

/** More likely tokens than this are not shown for a position, as at OpenAI. */
export const MAX_TOP_LOGPROBS = 20;
const MAX_CHOICES = 8;

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
  const count = readInteger(body, 'prompt_logprobs', 0, MAX_TOP_LOGPROBS);
  if (stream && count !== undefined && count > 0) throw invalidField('prompt_logprobs', '0 or absent when streaming');
  return count;
}

/** What each endpoint reads in its own way. */
interface GenerationLimits {
  /** What the caller asked for, or what is written without a limit of the caller's. */
  readonly maxTokens: number;
  readonly topLogprobs: number;
  readonly promptLogprobs: number | undefined;
  /** The field that holds the prompt. */
  readonly param: string;
}

/** The fields that all endpoints share. */
export function readGeneration(
  body: Body,
  prompt: readonly number[],
  shape: DecoderShape,
  { maxTokens, param, ...reports }: GenerationLimits,
): GenerationRequest {
  const left = shape.contextTokens - prompt.length;
  // A limit is cut to what the context has left, and only a prompt that leaves nothing is refused.
  if (left < Math.min(maxTokens, 1)) throw tooLong(shape.contextTokens, prompt.length, param);
  return {
    prompt,
    choices: 1,
    maxTokens: Math.min(maxTokens, left),
    temperature: readNumber(body, 'temperature', 0, 2) ?? 1,
    topP: readNumber(body, 'top_p', 0, 1) ?? 1,
    seed: randomUUID(),
    stops: [],
    ...reports,
  };
}

/** The fields that chat and plain completions share; the Responses API has no choices, seeds and stops. */
export function readSampling(
  body: Body,
  prompt: readonly number[],
  shape: DecoderShape,
  { defaultMaxTokens, ...limits }: Omit<GenerationLimits, 'maxTokens'> & { readonly defaultMaxTokens: number },
): GenerationRequest {
  const asked =
    readInteger(body, 'max_completion_tokens', 0, Number.MAX_SAFE_INTEGER) ??
    readInteger(body, 'max_tokens', 0, Number.MAX_SAFE_INTEGER);
  const generation = readGeneration(body, prompt, shape, { maxTokens: asked ?? defaultMaxTokens, ...limits });
  const seed = readInteger(body, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  return {
    ...generation,
    choices: readInteger(body, 'n', 1, MAX_CHOICES) ?? 1,
    seed: seed === undefined ? generation.seed : String(seed),
    stops: readStops(body),
  };
}
