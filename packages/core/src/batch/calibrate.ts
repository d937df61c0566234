import { ACCEPT_NOTHING, judgingStages, thresholdsOf } from '../cascade/thresholds.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import type { SampledJudgement } from '../document/sample-line.ts';
import {
  certifyAccuracy,
  certifyAgreement,
  nextAbove,
  planAim,
  termsOf,
  type AccuracyAim,
  type BudgetAim,
  type Certification,
  type LabelledDocument,
  type PromiseAim,
  type SampledDocument,
} from '../promise/index.ts';
import type { CascadeCalibration } from './calibration-record.ts';

/** What is known of a document that was drawn. */
export type DrawnDocument = {
  /** By judging stage, in order; null: it was not answered. */
  readonly judged: readonly SampledJudgement[] | null;
  /** The stage that delivered its answer, from 0; null where it was not answered. */
  readonly delivered: number | null;
  /** Of an accuracy: whether the expert's answer is what the label says, and each judging stage's draft, in order. */
  readonly right?: { readonly expert: boolean; readonly drafts: readonly boolean[] } | undefined;
};

/** What the thresholds of a cascade are found from. */
export type CascadeSample = {
  readonly rules: CascadeRules;
  readonly population: number;
  /** None where a sample would have shown nothing. */
  readonly drawn: readonly DrawnDocument[];
  /** Its servers are known to give nothing that a draft could be judged by: nothing was sampled. Absent: they are not. */
  readonly cannotJudge?: boolean;
};

/** Whether a drawn document came to its end before the sample's time or the batch's money did. */
const isAnswered = ({ judged, delivered }: DrawnDocument): boolean => judged !== null || delivered !== null;

type StageThreshold = CascadeCalibration['stages'][number];

/** The thresholds of a cascade that has none of its own, and what is promised by them. */
export function calibrateCascade(sample: CascadeSample): CascadeCalibration {
  const { aim } = sample.rules;
  if (aim === undefined) throw new Error('a cascade with fixed thresholds needs none to be found');
  return aim.kind === 'budget' ? budgeted(sample, aim) : promised(sample, aim);
}

function promised(sample: CascadeSample, aim: PromiseAim | AccuracyAim): CascadeCalibration {
  const { rules, population, drawn } = sample;
  const judging = judgingStages(rules);
  const facts = { aim, population, n: drawn.length };
  if (sample.cannotJudge === true) return notCertified(sample, { ...facts, n: 0 }, { reason: 'no_evidence' });
  if (drawn.length === 0) {
    const plan = planAim(aim, judging.length, aim.kind === 'promise' ? population : 0);
    const needed = plan.kind === 'too_few' ? plan.needed : null;
    const reason = aim.kind === 'promise' ? 'batch_too_small' : 'too_few_labels';
    return notCertified(sample, facts, { reason, needed });
  }
  const terms = termsOf(aim, judging.length, population);
  const found = judging.map((_, at) =>
    aim.kind === 'promise'
      ? certifyAgreement(terms, rowsOf(drawn, at))
      : certifyAccuracy(terms, labelledRows(drawn, at)),
  );
  if (found.every(({ kind }) => kind === 'not_certified')) {
    // What is missing counted as wrong; with it more may have been found.
    if (!drawn.every(isAnswered)) return notCertified(sample, facts, { reason: 'sample_unfinished' });
    const reasons = new Set(found.map((one) => (one.kind === 'not_certified' ? one.reason : null)));
    const reason = (['expert_below_target', 'disagreements'] as const).find((one) => reasons.has(one));
    return notCertified(sample, facts, { reason: reason ?? 'no_evidence' }, found);
  }
  const stages = found.map((one, at) => ({ ...thresholdOf(one), ...differingIn(drawn, at) }));
  const share = expertShare(drawn, stages);
  // What accepts nothing of the sample promises nothing, and costs the drafts on top.
  if (share === 1) return notCertified(sample, facts, { reason: 'disagreements' }, found);
  return { ...facts, outcome: 'certified', stages, expertShare: share };
}

/** What a stage would accept of the sample, whatever the stages before it do not. */
const rowsOf = (drawn: readonly DrawnDocument[], at: number): SampledDocument[] =>
  drawn.map(({ judged }) => {
    const own = judged?.[at];
    return { score: scoreOf(own), agrees: own?.agrees === true && own.isUnknown !== true };
  });

/**
 * From which threshold on down a draft would be final, or be wrong. What nothing is known of counts as if it were final at
 * any; null: it cannot be judged, whenever it is tried.
 */
function scoreOf(own: SampledJudgement | undefined): number | null {
  if (own === undefined || own.isUnknown === true) return 1;
  return own.confidence === null ? null : (own.wrongAt ?? own.confidence);
}

/** The same beside labels. An answer that there is not is not right. */
const labelledRows = (drawn: readonly DrawnDocument[], at: number): LabelledDocument[] =>
  drawn.map(({ judged, right }) => ({
    score: scoreOf(judged?.[at]),
    draftRight: judged?.[at]?.isUnknown !== true && (right?.drafts[at] ?? false),
    expertRight: right?.expert ?? false,
  }));

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

type Facts = Pick<CascadeCalibration, 'aim' | 'population' | 'n'> & { readonly aim: PromiseAim | AccuracyAim };

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
    ...(isShown ? { acceptAt: guessOf(aim, drawn, { at, judging: all.length }) } : asConfigured(known)),
  }));
  return { ...own, stages, expertShare: isShown ? expertShare(drawn, stages) : null };
}

function guessOf(
  aim: PromiseAim | AccuracyAim,
  drawn: readonly DrawnDocument[],
  { at, judging }: { readonly at: number; readonly judging: number },
): number {
  if (aim.kind === 'promise') return bestGuess(rowsOf(drawn, at), (1 - aim.agreement) / judging);
  const rows = labelledRows(drawn, at);
  const wrongAnyway = rows.filter(({ expertRight }) => !expertRight).length / rows.length;
  const agreeing = rows.map(({ score, draftRight, expertRight }) => ({ score, agrees: draftRight || !expertRight }));
  return bestGuess(agreeing, Math.max(0, (1 - aim.accuracy) / judging - wrongAnyway));
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

const asConfigured = (acceptAt: number): StageThreshold => ({ acceptAt, configured: true });

/** So much of a budget's sample must have been answered for a threshold to follow from it. */
const LEAST_ANSWERED = 0.5;

/**
 * The threshold of the last judging stage at which about as many of the sample go on to the expert as may: those that
 * cannot be judged do at any threshold, those that a stage before accepts at none. Equal scores are accepted together.
 */
function budgeted(
  { rules, population, drawn, cannotJudge: isHopeless = false }: CascadeSample,
  aim: BudgetAim,
): CascadeCalibration {
  const known = thresholdsOf(rules);
  const facts = { aim, population, n: drawn.length, outcome: 'budgeted' as const };
  const answered = drawn.filter(isAnswered);
  const last = known.length - 1;
  const isJudged = answered.some(({ judged }) => judged?.[last]?.confidence != null);
  // Few that were answered in time are not like the others, and where none could be judged nothing is known.
  if (isHopeless || !isJudged || answered.length < drawn.length * LEAST_ANSWERED) {
    return { ...facts, n: isHopeless ? 0 : facts.n, stages: known.map(asConfigured), expertShare: null };
  }
  const stage = judgingStages(rules)[last] ?? 0;
  const reached = answered.filter(
    ({ delivered, judged }) => delivered === null || delivered >= stage || judged?.[last]?.confidence != null,
  );
  const scores = reached.map(({ judged }) => judged?.[last]?.confidence ?? null);
  const judged = scores.filter((score) => score !== null).toSorted((left, right) => left - right);
  const left = Math.floor(aim.expert_share * answered.length) - (scores.length - judged.length);
  const acceptAt = left < 0 ? 0 : (judged[left] ?? ACCEPT_NOTHING);
  const escalated = scores.filter((score) => score === null || score < acceptAt).length;
  const stages = known.map((own, at) => (at === last ? { acceptAt } : asConfigured(own)));
  return { ...facts, n: answered.length, stages, expertShare: escalated / answered.length };
}
