import { z } from 'zod';

/**
 * None of the first drafts of a stage of a batch could be judged: each was escalated for another reason than a low
 * confidence, so that the next stage does all the work, and costs so. Told once for a batch and a tier.
 */
export const warningRecord = z.object({
  tier: z.string(),
  cascade: z.string(),
  /** From 1. */
  stage: z.int(),
  /** How many first drafts there were, and by which reasons they were escalated. */
  drafts: z.int(),
  reasons: z.record(z.string(), z.int()),
  /** What the model server first said in an error, redacted and cut; null: there was none. */
  said: z.string().nullable(),
});

export type Warning = z.output<typeof warningRecord>;

/** A warning as a batch shows it. */
export type ShownWarning = ReturnType<typeof showWarning>;

/** The reasons by which a draft is escalated that was judged, or was not asked for as none would be accepted. */
const JUDGED: ReadonlySet<string> = new Set(['low_confidence', 'shadow_run', 'sampled', 'promise_at_risk']);

/** Whether a reason says that a draft could not be judged, which a setting may be the cause of. */
export const isUnjudged = (reason: string): boolean => !JUDGED.has(reason);

/** A warning as the API shows it. */
export function showWarning({ tier, cascade, stage, drafts, reasons, said }: Warning) {
  const counted = Object.entries(reasons)
    .map(([reason, count]) => ({ reason, count }))
    .toSorted((left, right) => right.count - left.count || (left.reason < right.reason ? -1 : 1));
  const listed = counted.map(({ reason, count }) => `${reason} ${count}`).join(', ');
  return {
    code: 'no_draft_judged' as const,
    message: `None of the first ${drafts} drafts of ${tier} could be judged (${listed}): all of them were escalated.`,
    tier,
    cascade,
    stage,
    reasons: counted,
    said,
  };
}
