import type { EscalationReason, FieldScore, JudgedDraft } from '../confidence/index.ts';

export type Decision =
  | {
      readonly kind: 'accept';
      readonly confidence: number;
      readonly score: number;
      readonly fields: readonly FieldScore[] | null;
      readonly acceptAt: number;
    }
  | {
      readonly kind: 'escalate';
      readonly reason: EscalationReason;
      readonly confidence: number | null;
      readonly score: number | null;
      readonly fields: readonly FieldScore[] | null;
      readonly acceptAt: number;
    };

/**
 * The only place where a confidence meets a threshold: at or above it the draft is final. A confidence that is not a
 * probability accepts nothing, and neither does a threshold that is not a number. A shadow run accepts nothing either.
 */
export function route(
  judged: JudgedDraft,
  {
    acceptAt,
    shadow = false,
    isSampled = false,
    areSure = null,
  }: {
    readonly acceptAt: number;
    readonly shadow?: boolean;
    /** The document is of a sample that every stage answers. */
    readonly isSampled?: boolean;
    /** Whether every value is sure, where they have thresholds of their own; null: they have not. */
    readonly areSure?: boolean | null;
  },
): Decision {
  if (judged.kind === 'no_evidence') {
    return { kind: 'escalate', reason: judged.reason, confidence: null, score: null, fields: null, acceptAt };
  }
  const { confidence, score, fields } = judged;
  if (shadow) {
    const reason = isSampled ? 'sampled' : 'shadow_run';
    return { kind: 'escalate', reason, confidence, score, fields, acceptAt };
  }
  const isSure = areSure ?? (confidence >= acceptAt && confidence <= 1);
  if (isSure) return { kind: 'accept', confidence, score, fields, acceptAt };
  return { kind: 'escalate', reason: 'low_confidence', confidence, score, fields, acceptAt };
}
