import { ACCEPT_NOTHING, judgingStages, thresholdsOf, withThresholds } from '../cascade/thresholds.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import type { SampledJudgement } from '../document/sample-line.ts';
import {
  certifyAgreement,
  nextAbove,
  planAim,
  termsOf,
  type BudgetAim,
  type Certification,
  type PromiseAim,
  type SampledDocument,
} from '../promise/index.ts';
import type { CascadeCalibration, CascadeCalibrations } from './calibration-record.ts';

/** What is known of a document that was drawn. */
export type DrawnDocument = {
  /** By judging stage, in order; null: it was not answered. */
  readonly judged: readonly SampledJudgement[] | null;
  /** The stage that delivered its answer, from 0; null where it was not answered. */
  readonly delivered: number | null;
};

/** What the thresholds of a cascade are found from. */
export type CascadeSample = {
  readonly rules: CascadeRules;
  readonly population: number;
  /** None where a sample would have shown nothing. */
  readonly drawn: readonly DrawnDocument[];
  /** All of them came to their end before the batch's window or money did. */
  readonly isFinished: boolean;
  /** Its servers are known to give nothing that a draft could be judged by: nothing was sampled. Absent: they are not. */
  readonly cannotJudge?: boolean;
};

type StageThreshold = CascadeCalibration['stages'][number];

/** The thresholds of a cascade that has none of its own, and what is promised by them. */
export function calibrateCascade(sample: CascadeSample): CascadeCalibration {
  const { aim } = sample.rules;
  if (aim === undefined) throw new Error('a cascade with fixed thresholds needs none to be found');
  return aim.kind === 'promise' ? promised(sample, aim) : budgeted(sample, aim);
}

function promised(sample: CascadeSample, aim: PromiseAim): CascadeCalibration {
  const { rules, population, drawn, isFinished } = sample;
  const judging = judgingStages(rules);
  const facts = { aim, population, n: drawn.length };
  if (sample.cannotJudge === true) return notCertified(sample, { ...facts, n: 0 }, { reason: 'no_evidence' });
  if (drawn.length === 0) {
    const plan = planAim(aim, judging.length, population);
    const needed = plan.kind === 'too_few' ? plan.needed : null;
    return notCertified(sample, facts, { reason: 'batch_too_small', needed });
  }
  if (!isFinished) return notCertified(sample, facts, { reason: 'sample_unfinished' });
  const terms = termsOf(aim, judging.length, population);
  const found = judging.map((_, at) => certifyAgreement(terms, rowsOf(drawn, at)));
  if (found.every(({ kind }) => kind === 'not_certified')) {
    const isJudged = found.some((one) => one.kind === 'not_certified' && one.reason === 'disagreements');
    return notCertified(sample, facts, { reason: isJudged ? 'disagreements' : 'no_evidence' }, found);
  }
  const stages = found.map((one, at) => ({ ...thresholdOf(one), ...differingIn(drawn, at) }));
  return { ...facts, outcome: 'certified', stages, expertShare: expertShare(drawn, stages) };
}

/** What a stage would accept of the sample, whatever the stages before it do not. */
const rowsOf = (drawn: readonly DrawnDocument[], at: number): SampledDocument[] =>
  drawn.map(({ judged }) => {
    const own = judged?.[at];
    // Nothing is known of it: it counts as if it were accepted and wrong.
    if (own === undefined) return { score: 1, agrees: false };
    return { score: own.confidence === null ? null : (own.wrongAt ?? own.confidence), agrees: own.agrees };
  });

function thresholdOf(found: Certification): StageThreshold {
  if (found.kind === 'certified') {
    const { acceptAt, allowed, disagreements, bound } = found.certificate;
    return { acceptAt: acceptAt ?? 0, allowed, disagreements, bound };
  }
  const counted = 'allowed' in found ? { allowed: found.allowed, disagreements: found.disagreements } : {};
  // What accepts nothing makes nothing wrong.
  return { acceptAt: ACCEPT_NOTHING, ...counted, bound: 0 };
}

/** Values that are named at most: those that differ most often. */
const MAX_DIFFERING = 16;

/** In which values of JSON answers a stage's drafts differ from the expert's, and how often. */
function differingIn(drawn: readonly DrawnDocument[], at: number): Pick<StageThreshold, 'differing'> {
  const counts = new Map<string, number>();
  for (const { judged } of drawn) {
    for (const field of judged?.[at]?.differing ?? []) counts.set(field, (counts.get(field) ?? 0) + 1);
  }
  if (counts.size === 0) return {};
  const most = [...counts].toSorted(([, left], [, right]) => right - left).slice(0, MAX_DIFFERING);
  return { differing: most.map(([field, count]) => ({ field, count })) };
}

type Facts = Pick<CascadeCalibration, 'aim' | 'population' | 'n'> & { readonly aim: PromiseAim };

function notCertified(
  { rules, drawn }: CascadeSample,
  facts: Facts,
  why: Pick<CascadeCalibration, 'reason' | 'needed'>,
  found: readonly Certification[] = [],
): CascadeCalibration {
  const { aim } = facts;
  const own = { ...facts, outcome: 'not_certified', ...why } as const;
  const counts = found.map(thresholdOf);
  if (aim.otherwise === 'expert') {
    const stages = judgingStages(rules).map((_, at) => ({ ...counts[at], acceptAt: ACCEPT_NOTHING }));
    return { ...own, expertOnly: true, stages, expertShare: 1 };
  }
  const isShown = facts.n > 0 && why.reason !== 'sample_unfinished';
  const stages = thresholdsOf(rules).map((known, at, all) => ({
    ...counts[at],
    acceptAt: isShown ? bestGuess(rowsOf(drawn, at), (1 - aim.agreement) / all.length) : known,
  }));
  return { ...own, stages, expertShare: isShown ? expertShare(drawn, stages) : null };
}

/** The lowest threshold at which no more of the sample disagrees than may of the batch: it is as often too low as not. */
function bestGuess(rows: readonly SampledDocument[], mayDisagree: number): number {
  const judged = rows.flatMap(({ score, agrees }) => (score === null ? [] : [{ score, agrees }]));
  const wrong = judged.filter(({ agrees }) => !agrees).map(({ score }) => score);
  const most = Math.floor(mayDisagree * rows.length);
  const refused = wrong.toSorted((left, right) => right - left)[most];
  if (judged.length === 0) return ACCEPT_NOTHING;
  return refused === undefined ? 0 : nextAbove(refused);
}

/** The share of the sample that no stage accepts. */
function expertShare(drawn: readonly DrawnDocument[], stages: readonly StageThreshold[]): number {
  const isAccepted = ({ judged }: DrawnDocument): boolean =>
    stages.some(({ acceptAt }, at) => (judged?.[at]?.confidence ?? -1) >= acceptAt);
  return drawn.filter((one) => !isAccepted(one)).length / drawn.length;
}

/**
 * The threshold of the last judging stage at which about as many of the sample go on to the expert as may: those that
 * cannot be judged do at any threshold, those that a stage before accepts at none. Equal scores are accepted together.
 */
function budgeted({ rules, population, drawn, isFinished }: CascadeSample, aim: BudgetAim): CascadeCalibration {
  const known = thresholdsOf(rules);
  const facts = { aim, population, n: drawn.length, outcome: 'budgeted' as const };
  if (!isFinished || drawn.length === 0) {
    return { ...facts, stages: known.map((acceptAt) => ({ acceptAt })), expertShare: null };
  }
  const last = known.length - 1;
  const stage = judgingStages(rules)[last] ?? 0;
  const reached = drawn.filter(
    ({ delivered, judged }) => delivered === null || delivered >= stage || judged?.[last]?.confidence != null,
  );
  const scores = reached.map(({ judged }) => judged?.[last]?.confidence ?? null);
  const judged = scores.filter((score) => score !== null).toSorted((left, right) => left - right);
  const left = Math.floor(aim.expert_share * drawn.length) - (scores.length - judged.length);
  const acceptAt = left < 0 ? 0 : (judged[left] ?? ACCEPT_NOTHING);
  const escalated = scores.filter((score) => score === null || score < acceptAt).length;
  const stages = known.map((own, at) => ({ acceptAt: at === last ? acceptAt : own }));
  return { ...facts, stages, expertShare: escalated / drawn.length };
}

/** The rules with the thresholds that were found; those of a cascade whose thresholds are fixed are as they were. */
export function rulesInForce(
  rules: Readonly<Record<string, CascadeRules>>,
  found: CascadeCalibrations,
): Record<string, CascadeRules> {
  return Object.fromEntries(
    Object.entries(rules).map(([name, { aim, ...own }]) => {
      const calibration = found[name];
      // The thresholds may be those of another batch, of before the cascade had other stages.
      const isFit = calibration?.stages.length === judgingStages(own).length;
      if (aim === undefined || calibration === undefined || !isFit) return [name, rules[name] ?? own];
      const { stages, outcome, expertOnly } = calibration;
      const decided = withThresholds(
        own,
        stages.map(({ acceptAt }) => acceptAt),
      );
      return [
        name,
        {
          ...decided,
          ...(expertOnly === true ? { expertOnly } : {}),
          ...(outcome === 'certified' && aim.kind === 'promise'
            ? { certificate: { agreement: aim.agreement, certainty: aim.certainty } }
            : {}),
        },
      ];
    }),
  );
}

/** Whether thresholds are still to be found. */
export const awaitsCalibration = (rules: Readonly<Record<string, CascadeRules>>): boolean =>
  Object.values(rules).some(({ aim }) => aim !== undefined);
