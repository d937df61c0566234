import type { TokenLogprob } from '../endpoints/completion.ts';
import { fieldsOf } from './fields.ts';
import type { EscalationReason } from './reasons.ts';

export type FieldScore = { readonly path: string; readonly score: number };

/** The raw score of a draft, of a JSON answer also each value's own; or the reason why it has none. */
export type ScoredDraft =
  | { readonly kind: 'scored'; readonly score: number; readonly fields: readonly FieldScore[] | null }
  | { readonly kind: 'no_evidence'; readonly reason: EscalationReason };

export const noEvidence = (reason: EscalationReason): Extract<ScoredDraft, { kind: 'no_evidence' }> => ({
  kind: 'no_evidence',
  reason,
});

/** A score of the whole answer; what is no number stands for log-probs that are none. */
export const wholeScore = (score: number): ScoredDraft =>
  Number.isFinite(score) ? { kind: 'scored', score, fields: null } : noEvidence('no_logprobs');

/**
 * The score over the tokens of an answer, or of a JSON answer's values: then it is its weakest field's. A measure that
 * is null lacks the alternatives of a token.
 */
export function valueScore(
  text: string,
  tokens: readonly TokenLogprob[],
  measure: (tokens: readonly TokenLogprob[]) => number | null,
): ScoredDraft {
  const fields = fieldsOf(text, tokens) ?? [{ path: null, tokens }];
  const scores: FieldScore[] = [];
  for (const { path, tokens: own } of fields) {
    const score = measure(own);
    if (score === null) return noEvidence('no_alternatives');
    if (!Number.isFinite(score)) return noEvidence('no_logprobs');
    scores.push({ path: path ?? '', score });
  }
  const score = scores.reduce((least, one) => Math.min(least, one.score), Number.POSITIVE_INFINITY);
  return { kind: 'scored', score, fields: fields[0]?.path === null ? null : scores };
}

/** Results name this many fields: the least sure ones are those that somebody may want to look at. */
const MAX_FIELDS_SHOWN = 16;

/** The least sure values of an answer, least sure first. */
export function leastSure(fields: readonly FieldScore[] | null): FieldScore[] | null {
  if (fields === null) return null;
  const sorted = fields.toSorted((left, right) => left.score - right.score).slice(0, MAX_FIELDS_SHOWN);
  return sorted.map(({ path, score }) => ({ path, score: Number(score.toPrecision(6)) }));
}
