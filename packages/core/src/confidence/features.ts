import type { TokenLogprob } from '../endpoints/completion.ts';
import { entropies, least, logprobsOf, margins, mean, quantile, sum } from './statistics.ts';

const SHARES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** What the learnt head looks at, in this order; a head names its version of them. */
export const FEATURES = [
  ...SHARES.map((share) => `quantile_${share}`),
  'sum',
  'mean',
  'log_tokens',
  'margin_mean',
  'margin_min',
  'entropy_mean',
  'entropy_max',
  'least_field',
] as const;
export const FEATURES_VERSION = 1;

/** A head cannot tell −20 from −9999: what is surely wrong is surely wrong. */
const floor = (value: number): number => Math.max(-20, value);

/**
 * Of at least one token; `leastField` is the score of the weakest field (the sum of its log-probs), or of the whole
 * answer; `entropy` is the true one at a single token, where it is known. Where a server
 * lists no alternatives the features that need them are 0.
 */
export function featuresOf(tokens: readonly TokenLogprob[], leastField: number, entropy?: number): number[] {
  const logprobs = logprobsOf(tokens).map(floor);
  const ordered = logprobs.toSorted((left, right) => left - right);
  const ahead = margins(tokens) ?? [];
  const unsure = entropy === undefined ? (entropies(tokens) ?? []) : [entropy];
  return [
    ...SHARES.map((share) => quantile(ordered, share)),
    Math.max(-100, sum(logprobs)),
    mean(logprobs),
    Math.log(tokens.length),
    ahead.length === 0 ? 0 : mean(ahead),
    ahead.length === 0 ? 0 : least(ahead),
    unsure.length === 0 ? 0 : mean(unsure),
    unsure.length === 0 ? 0 : -least(unsure.map((one) => -one)),
    floor(leastField),
  ];
}
