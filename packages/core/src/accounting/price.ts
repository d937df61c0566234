import { z } from 'zod';
import type { Usage } from '../endpoints/completion.ts';

/** US dollars per million tokens; cached input tokens without a price of their own cost as much as others. */
export const price = z.strictObject({
  input: z.number().min(0),
  cached_input: z.number().min(0).optional(),
  output: z.number().min(0),
});

export type Price = z.output<typeof price>;

/** The tokens that a price is of. */
export type PricedTokens = Pick<Usage, 'inputTokens' | 'cachedTokens' | 'outputTokens'>;

/** What a call cost, in 10⁻⁹ US dollars; a model without a price costs nothing. Cached tokens are among those read. */
export function nanoUsd({ inputTokens, cachedTokens, outputTokens }: PricedTokens, at: Price | null): number {
  if (at === null) return 0;
  const cached = Math.min(cachedTokens, inputTokens);
  const read = (inputTokens - cached) * at.input + cached * (at.cached_input ?? at.input);
  return Math.round((read + outputTokens * at.output) * 1000);
}

/** The same in US dollars. */
export const usd = (tokens: PricedTokens, at: Price): number => nanoUsd(tokens, at) / 1e9;
