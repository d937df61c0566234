import type { TokenLogprob } from '../endpoints/completion.ts';
import { cutText } from '../text/cut.ts';
import type { Field } from './fields.ts';
import type { EscalationReason } from './reasons.ts';

export type FieldScore = { readonly path: string; readonly score: number };

/** A draft cannot be judged, and why. */
export type NoEvidence = { readonly kind: 'no_evidence'; readonly reason: EscalationReason };

/** The raw score of a draft, of a JSON answer also each value's own; or the reason why it has none. */
export type ScoredDraft =
  | { readonly kind: 'scored'; readonly score: number; readonly fields: readonly FieldScore[] | null }
  | NoEvidence;

export const noEvidence = (reason: EscalationReason): NoEvidence => ({ kind: 'no_evidence', reason });

/** A score of the whole answer; what is no number stands for log-probs that are none. */
export const wholeScore = (score: number): ScoredDraft =>
  Number.isFinite(score) ? { kind: 'scored', score, fields: null } : noEvidence('no_logprobs');

/**
 * The score over the tokens of an answer, or of a JSON answer's values: then it is its weakest field's. A measure that
 * is null lacks the alternatives of a token.
 */
export function valueScore(
  fields: readonly Field[] | null,
  tokens: readonly TokenLogprob[],
  measure: (tokens: readonly TokenLogprob[]) => number | null,
): ScoredDraft {
  const scores: FieldScore[] = [];
  for (const { path, tokens: own } of fields ?? [{ path: '', tokens }]) {
    const score = measure(own);
    if (score === null) return noEvidence('no_alternatives');
    if (!Number.isFinite(score)) return noEvidence('no_logprobs');
    scores.push({ path, score });
  }
  const score = scores.reduce((least, one) => Math.min(least, one.score), Number.POSITIVE_INFINITY);
  return { kind: 'scored', score, fields: fields === null ? null : scores };
}

/** Results name this many fields: the least sure ones are those that somebody may want to look at; or may calibrate. */
const MAX_FIELDS_SHOWN = 16;
const MAX_FIELDS_TO_CALIBRATE = 64;

/** A name may be as long as an answer; by so much of a path one sees which value is meant. */
const MAX_PATH_CHARACTERS = 1_000;

/** The least sure values of an answer, least sure first: by their scores, or in the order that they are `sorted` in. */
export function leastSure(
  fields: readonly FieldScore[] | null,
  {
    sorted = fields?.toSorted((left, right) => left.score - right.score),
    shadow = false,
  }: { readonly sorted?: readonly FieldScore[] | undefined; readonly shadow?: boolean } = {},
): FieldScore[] | null {
  if (fields === null || sorted === undefined) return null;
  return sorted.slice(0, shadow ? MAX_FIELDS_TO_CALIBRATE : MAX_FIELDS_SHOWN).map(({ path, score }) => ({
    path: cutText(path, MAX_PATH_CHARACTERS, '…'),
    score: Number(score.toPrecision(6)),
  }));
}
