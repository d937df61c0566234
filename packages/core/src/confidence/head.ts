import type { TokenLogprob } from '../endpoints/completion.ts';
import { featuresOf } from './features.ts';
import type { Field } from './fields.ts';
import { least, sum } from './statistics.ts';

/** A learnt head: its weights of the features, and a bias. */
export type Head = { readonly weights: readonly number[]; readonly bias: number };

/** The log-odds of the head, which are its score. */
export const headLogit = ({ weights, bias }: Head, features: readonly number[]): number =>
  weights.reduce((total, weight, at) => total + weight * (features[at] ?? 0), bias);

/** What the head looks at in a draft; at least one token. */
export function headFeatures(fields: readonly Field[] | null, tokens: readonly TokenLogprob[]): number[] {
  const total = (some: readonly TokenLogprob[]): number => sum(some.map(({ logprob }) => logprob));
  if (fields === null) return featuresOf(tokens, total(tokens));
  // A token that two values share counts once.
  const values = new Set(fields.flatMap((field) => field.tokens));
  return featuresOf([...values], least(fields.map((field) => total(field.tokens))));
}
