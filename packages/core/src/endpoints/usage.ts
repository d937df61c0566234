import { isJsonObject, type Json } from '../text/json.ts';

/** The tokens of a call that its server counted. */
export type Usage = {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
};

/** Reads the usage of any endpoint. */
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
