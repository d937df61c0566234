import { headFeatures } from './head.ts';
import type { Sliced } from '../text/slices.ts';
import { scoreSeen, seeDraft, type Evidence } from './judge.ts';
import type { SignalSpec } from './spec.ts';

/** The signals over tokens that are recorded in a shadow run, so that any of them can be calibrated. */
export const SHADOW_SIGNALS: readonly SignalSpec[] = [
  { name: 'sum_logprob' },
  { name: 'mean_logprob' },
  { name: 'min_logprob' },
  { name: 'quantile_logprob', alpha: 0.1 },
  { name: 'margin', over: 'min' },
  { name: 'margin', over: 'mean' },
  { name: 'entropy' },
];

/** What the signals of a shadow run say of a draft: scores by the signal as JSON, null where it has no evidence. */
export type DraftEvidence = {
  readonly scores: Readonly<Record<string, number | null>>;
  /** What a learnt head would look at; null: the draft cannot be judged. */
  readonly features: readonly number[] | null;
};

/** As many digits as a score can need. */
const shortened = (value: number): number => Number(value.toPrecision(8));

export function* evidenceOf(evidence: Evidence): Sliced<DraftEvidence> {
  const seen = yield* seeDraft(evidence);
  const scores: Record<string, number | null> = {};
  for (const signal of SHADOW_SIGNALS) {
    yield;
    const scored = seen.kind === 'seen' ? scoreSeen(seen.draft, { signal, calibration: null }) : seen;
    scores[JSON.stringify(signal)] = scored.kind === 'scored' ? shortened(scored.score) : null;
  }
  yield;
  if (seen.kind !== 'seen' || scores[BY_SUM] === null) return { scores, features: null };
  return { scores, features: headFeatures(seen.draft.fields, seen.draft.tokens).map(shortened) };
}

/** What needs no more than log-probs says whether there are any. */
const BY_SUM = JSON.stringify({ name: 'sum_logprob' });
