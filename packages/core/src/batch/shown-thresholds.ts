import { judgingStages, shownThreshold } from '../cascade/thresholds.ts';
import type { Aim } from '../promise/index.ts';
import { stageCounter, type Counts } from '../accounting/counts.ts';
import type { CascadeCalibration } from './calibration-record.ts';
import type { CalibrationRecord, Manifest, Validated } from './records.ts';

/** What is known of how a batch's thresholds are found. */
export type ThresholdFacts = {
  readonly draws: Validated['draws'];
  /** Null: they are still to be found. */
  readonly calibration: Pick<CalibrationRecord, 'cascades'> | null;
};

/** What else of a batch counts. */
type BatchFacts = {
  readonly counts: Counts;
  /** It takes no more results: what was not found is not found any more. */
  readonly isOver: boolean;
};

/** Of a batch whose thresholds are all fixed, or that is not validated yet. */
export const NO_THRESHOLDS: ThresholdFacts = { draws: undefined, calibration: null };

/** How a cascade's thresholds are found, as a batch shows it. */
type ShownThresholds = ReturnType<typeof shown>;

/** The thresholds of the cascades that have none of their own, as far as the batch's documents name them. */
export function showThresholds(
  { cascades }: Manifest,
  { draws = {}, calibration }: ThresholdFacts,
  { counts, isOver }: BatchFacts,
): ShownThresholds[] {
  return Object.entries(draws).flatMap(([cascade, { population, documents }]) => {
    const rules = cascades[cascade];
    if (rules?.aim === undefined) return [];
    const found = calibration?.cascades[cascade];
    const deadlineDrafts = rules.stages.reduce(
      (sum, _, stage) => sum + (counts[stageCounter(cascade, stage, 'deadlineDrafts')] ?? 0),
      0,
    );
    const known = found === undefined ? undefined : afterDeadline(found, deadlineDrafts);
    const unfinished = isOver ? ({ outcome: 'not_certified', reason: 'sample_unfinished' } as const) : {};
    const models = judgingStages(rules).map((stage) => ({ stage, model: rules.stages[stage]?.model ?? '' }));
    const facts = known ?? {
      aim: rules.aim,
      population,
      n: documents.length,
      stages: [],
      expertShare: null,
      ...unfinished,
    };
    return [shown(cascade, facts, models)];
  });
}

/**
 * Drafts that were delivered at the deadline count as disagreements: where they are more than the certificate leaves room
 * for, it does not hold.
 */
function afterDeadline(found: CascadeCalibration, drafts: number): Omit<CascadeCalibration, 'reason'> & ShownReason {
  const { aim, outcome, population, stages } = found;
  if (outcome !== 'certified' || aim.kind === 'budget') return found;
  const target = aim.kind === 'promise' ? aim.agreement : aim.accuracy;
  const bound = stages.reduce((sum, { bound: own = 0 }) => sum + own, 0);
  const isKept = drafts <= (1 - target - bound) * population + ROUNDING;
  return drafts === 0 || isKept ? found : { ...found, outcome: 'not_certified', reason: 'deadline' };
}

/** Shares are sums of quotients of whole numbers. */
const ROUNDING = 1e-6;

type ShownReason = { readonly reason?: CascadeCalibration['reason'] | 'deadline' };

type Facts = ShownReason &
  Pick<CascadeCalibration, 'aim' | 'population' | 'n' | 'expertShare'> &
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
