import { judgingStages, shownThreshold } from '../cascade/thresholds.ts';
import type { Aim } from '../promise/index.ts';
import type { CascadeCalibration } from './calibration-record.ts';
import type { CalibrationRecord, Manifest, Validated } from './records.ts';

/** What is known of how a batch's thresholds are found. */
export type ThresholdFacts = {
  readonly draws: Validated['draws'];
  /** Null: they are still to be found. */
  readonly calibration: Pick<CalibrationRecord, 'cascades'> | null;
};

/** How a cascade's thresholds are found, as a batch shows it. */
export type ShownThresholds = ReturnType<typeof shown>;

/** The thresholds of the cascades that have none of their own, as far as the batch's documents name them. */
export function showThresholds({ cascades }: Manifest, { draws = {}, calibration }: ThresholdFacts): ShownThresholds[] {
  return Object.entries(draws).flatMap(([cascade, { population, documents }]) => {
    const rules = cascades[cascade];
    if (rules?.aim === undefined) return [];
    const known = calibration?.cascades[cascade];
    const models = judgingStages(rules).map((stage) => ({ stage, model: rules.stages[stage]?.model ?? '' }));
    const facts =
      known ?? ({ aim: rules.aim, population, n: documents.length, stages: [], expertShare: null } as const);
    return [shown(cascade, facts, models)];
  });
}

type Facts = Pick<CascadeCalibration, 'aim' | 'population' | 'n' | 'expertShare' | 'reason'> &
  Partial<Pick<CascadeCalibration, 'outcome'>> & { readonly stages: readonly CascadeCalibration['stages'][number][] };

function promiseOf(aim: Aim) {
  if (aim.kind === 'budget') return null;
  const { kind: _, ...promise } = aim;
  return promise;
}

function shown(
  cascade: string,
  { aim, population, n, outcome, reason, expertShare, stages }: Facts,
  judging: readonly { readonly stage: number; readonly model: string }[],
) {
  return {
    cascade,
    promise: promiseOf(aim),
    budget: aim.kind === 'budget' ? { expert_share: aim.expert_share } : null,
    outcome: outcome ?? ('sampling' as const),
    reason: reason ?? null,
    documents: population,
    sampled: n,
    expert_share: expertShare,
    stages: stages.map(({ acceptAt, allowed = null, disagreements = null, bound = null, differing = [] }, at) => ({
      stage: (judging[at]?.stage ?? 0) + 1,
      model: judging[at]?.model ?? '',
      accept_at: shownThreshold(acceptAt),
      allowed,
      disagreements,
      bound,
      differing,
    })),
  };
}
