import { z } from 'zod';
import type { Usage } from '../endpoints/completion.ts';

const MAX_PRICE = 100_000;
const dollars = z.number().min(0).max(MAX_PRICE);

/** US dollars per million tokens; cached input tokens without a price of their own cost as much as others. */
export const price = z.strictObject({ input: dollars, cached_input: dollars.optional(), output: dollars });

export type Price = z.output<typeof price>;

/** The tokens that a price is of. */
export type PricedTokens = Pick<Usage, 'inputTokens' | 'cachedTokens' | 'outputTokens'>;

/** A thousand dollars for one answer: with it the sums of a batch stay within 64 bits, whatever a server counts. */
const MAX_NANO_USD = 1e12;

/** What a call cost, in 10⁻⁹ US dollars; a model without a price costs nothing. Cached tokens are among those read. */
export function nanoUsd({ inputTokens, cachedTokens, outputTokens }: PricedTokens, at: Price | null): number {
  if (at === null) return 0;
  const cached = Math.min(cachedTokens, inputTokens);
  const read = (inputTokens - cached) * at.input + cached * (at.cached_input ?? at.input);
  return Math.min(MAX_NANO_USD, Math.round((read + outputTokens * at.output) * 1000));
}

/** The same in US dollars. */
export const usd = (tokens: PricedTokens, at: Price): number => nanoUsd(tokens, at) / 1e9;
