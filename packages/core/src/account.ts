import type { Usage } from './completion.ts';

/** Counters that a result adds to its page and its batch. Integers, so that sums in any order agree. */
export const COUNTERS = [
  'completed',
  'failed',
  'accepted',
  'escalated',
  'draftInputTokens',
  'draftCachedTokens',
  'draftOutputTokens',
  'draftReasoningTokens',
  'expertInputTokens',
  'expertCachedTokens',
  'expertOutputTokens',
  'expertReasoningTokens',
  /** Money in 10⁻⁹ US dollars. */
  'draftNanoUsd',
  'expertNanoUsd',
  /** Of drafts that were not accepted. */
  'wastedInputTokens',
  'wastedOutputTokens',
  'wastedNanoUsd',
  /** What the same documents would have cost with the expert alone. */
  'allExpertNanoUsd',
] as const;

export type Counter = (typeof COUNTERS)[number];
export type Counts = Readonly<Record<Counter, number>>;

/** US dollars per million tokens. */
export type Price = { readonly input: number; readonly output: number };

export const NO_USAGE: Usage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };

export const NO_COUNTS: Counts = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<Counter, number>;

export function addCounts(left: Counts, right: Partial<Counts>): Counts {
  return Object.fromEntries(COUNTERS.map((name) => [name, left[name] + (right[name] ?? 0)])) as Record<Counter, number>;
}

export function addUsage(left: Usage, right: Usage): Usage {
  return {
    inputTokens: left.inputTokens + right.inputTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
    outputTokens: left.outputTokens + right.outputTokens,
    reasoningTokens: left.reasoningTokens + right.reasoningTokens,
  };
}

/** What a call cost, in 10⁻⁹ US dollars; a model without a price costs nothing. */
export function nanoUsd(usage: Usage, price: Price | null): number {
  if (price === null) return 0;
  return Math.round((usage.inputTokens * price.input + usage.outputTokens * price.output) * 1000);
}

/** The `usage` of a batch object: both tiers together. */
export function batchUsage(counts: Counts) {
  const input = counts.draftInputTokens + counts.expertInputTokens;
  const output = counts.draftOutputTokens + counts.expertOutputTokens;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: counts.draftCachedTokens + counts.expertCachedTokens },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: counts.draftReasoningTokens + counts.expertReasoningTokens },
    total_tokens: input + output,
  };
}
