import type { EscalationReason, FieldScore } from './confidence/index.ts';

/** A draft with its score and the confidence that the score stands for, or the reason why it has none. */
export type JudgedDraft =
  | {
      readonly kind: 'scored';
      readonly score: number;
      readonly confidence: number;
      /** Of a JSON answer, each value's own score. */
      readonly fields: readonly FieldScore[] | null;
    }
  | { readonly kind: 'no_evidence'; readonly reason: EscalationReason };

export type Decision =
  | {
      readonly kind: 'accept';
      readonly confidence: number;
      readonly score: number;
      readonly fields: readonly FieldScore[] | null;
      readonly threshold: number;
    }
  | {
      readonly kind: 'escalate';
      readonly reason: EscalationReason;
      readonly confidence: number | null;
      readonly score: number | null;
      readonly fields: readonly FieldScore[] | null;
      readonly threshold: number;
    };

/**
 * The only place where a confidence meets a threshold: at or above it the draft is final. A confidence that is not a
 * probability accepts nothing, and neither does a threshold that is not a number. A batch that runs `both` tiers accepts
 * nothing either.
 */
export function route(
  judged: JudgedDraft,
  { acceptAt, both = false }: { readonly acceptAt: number; readonly both?: boolean },
): Decision {
  const threshold = acceptAt;
  if (judged.kind === 'no_evidence') {
    return { kind: 'escalate', reason: judged.reason, confidence: null, score: null, fields: null, threshold };
  }
  const { confidence, score, fields } = judged;
  if (both) return { kind: 'escalate', reason: 'both_tiers', confidence, score, fields, threshold };
  if (confidence >= acceptAt && confidence <= 1) return { kind: 'accept', confidence, score, fields, threshold };
  return { kind: 'escalate', reason: 'low_confidence', confidence, score, fields, threshold };
}
