import { headFeatures } from './head.ts';
import { scoreDraft, type Evidence } from './judge.ts';
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

export function evidenceOf(evidence: Evidence): DraftEvidence {
  const score = (signal: SignalSpec): number | null => {
    const scored = scoreDraft(evidence, { signal, calibration: null });
    return scored.kind === 'scored' ? shortened(scored.score) : null;
  };
  const scores = Object.fromEntries(SHADOW_SIGNALS.map((signal) => [JSON.stringify(signal), score(signal)]));
  const { text, tokens } = evidence.completion;
  const isJudgeable = score({ name: 'sum_logprob' }) !== null && text !== null && tokens !== null;
  return { scores, features: isJudgeable ? headFeatures(text, tokens).map(shortened) : null };
}
