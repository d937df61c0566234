import {
  areaUnderRoc,
  bestCalibration,
  bootstrapInterval,
  brierScore,
  calibrated,
  calibrationError,
  crossFitted,
  deferralCurve,
  deferralOf,
  fitCalibration,
  fitHead,
  headScore,
  oracleCurve,
  seededRandom,
  type CalibrationMethod,
  type DeferralPoint,
  type FittedMethod,
  type FormatKind,
  type JudgedDocument,
  type SignalSpec,
} from '@spillway/core';

/** A draft with its label. */
export type LabelledDraft = {
  readonly score: number | null;
  readonly features: readonly number[] | null;
  /** What the answer was asked to be; null: its line does not say. */
  readonly format: FormatKind | null;
  readonly right: boolean;
  readonly expertRight: boolean;
  /** Nobody can say whether the expert is right: it is taken to be. */
  readonly isExpertAssumed: boolean;
  /** US dollars; null: a price is not known. */
  readonly draftUsd: number | null;
  readonly expertUsd: number | null;
};

export type Bin = { readonly confidence: number; readonly right: number; readonly count: number };
export type ThresholdRow = {
  readonly accept_at: number;
  readonly escalated: number;
  readonly accuracy: number;
  /** Null: a price is not known. */
  readonly usd_per_1000: number | null;
};

export type Measure = { readonly value: number | null; readonly interval: readonly [number, number] | null };

export type Judgement = {
  readonly labels: {
    readonly total: number;
    readonly right: number;
    readonly no_evidence: number;
    /** Where nobody can say whether the expert is right, and it is taken to be. */
    readonly expert_assumed: number;
  };
  readonly drafter_accuracy: number;
  readonly expert_accuracy: number;
  /** As the uncalibrated score says, where it says anything. */
  readonly before: { readonly ece: number; readonly brier: number; readonly reliability: readonly Bin[] } | null;
  /** Of drafts that the fit has not seen (five folds). */
  readonly after: { readonly ece: number; readonly brier: number; readonly reliability: readonly Bin[] };
  readonly auroc: Measure;
  readonly audc: Measure;
  readonly gain: Measure;
  readonly curves: Readonly<Record<'signal' | 'random' | 'oracle', readonly DeferralPoint[]>>;
  readonly risk_coverage: readonly { readonly coverage: number; readonly risk: number }[];
  readonly thresholds: readonly ThresholdRow[];
  readonly all_expert_usd_per_1000: number | null;
  readonly verdict: Verdict;
};

type Verdict = { readonly kind: 'pays' | 'does_not_pay' | 'cannot_be_judged'; readonly why: string };

const MIN_LABELS = 50;
const BOOTSTRAPS = 200;
const BINS = 10;
/** Points of a curve in the report; more are not seen. */
const POINTS = 200;
const THRESHOLDS = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99];

/** Fits a calibration; null: there is nothing to fit (see `refusal`). */
export function fit(
  signal: SignalSpec,
  method: FittedMethod | 'auto',
  drafts: readonly LabelledDraft[],
): CalibrationMethod | null {
  if (signal.name === 'head') {
    const rows = drafts.flatMap(({ features, right }) => (features === null ? [] : [{ x: features, right }]));
    return rows.length === 0 ? null : fitHead(rows);
  }
  const labels = drafts.flatMap(({ score, right }) => (score === null ? [] : [{ score, right }]));
  if (labels.length === 0) return null;
  return method === 'auto' ? bestCalibration(signal, labels) : fitCalibration(signal, method, labels);
}

/** How sure a calibration is of a draft; what has no evidence is escalated, so it is not sure at all. */
function confidenceIn(signal: SignalSpec, calibration: CalibrationMethod | null, draft: LabelledDraft): number {
  const { features } = draft;
  const score =
    signal.name === 'head'
      ? features === null || calibration === null
        ? null
        : headScore(calibration, features)
      : draft.score;
  return score === null ? 0 : (calibrated({ signal, calibration }, score) ?? 0);
}

/** Whether a draft has what a signal goes by; without it nothing is learnt from it. */
export const hasEvidence = ({ name }: SignalSpec, { score, features }: LabelledDraft): boolean =>
  (name === 'head' ? features : score) !== null;

/** Why nothing can be said; null: something can. */
function refusal(signal: SignalSpec, drafts: readonly LabelledDraft[]): string | null {
  const known = drafts.filter((draft) => hasEvidence(signal, draft));
  if (known.length === 0)
    return `no draft has evidence for the signal ${signal.name}: does the drafter's server give log-probs?`;
  if (known.length < MIN_LABELS)
    return `${known.length} labels with evidence are too few, at least ${MIN_LABELS} are needed`;
  const right = known.filter((draft) => draft.right).length;
  if (right === 0 || right === known.length)
    return `all drafts are ${right === 0 ? 'wrong' : 'right'}: there is nothing to tell apart`;
  const scores = new Set(known.map(({ score, features }) => (signal.name === 'head' ? features?.join() : score)));
  return scores.size === 1 ? 'all scores are the same: they tell nothing apart' : null;
}

/** Judges a signal by drafts that its fits have not seen, and says whether the cascade pays. */
export function judgeDrafts(
  signal: SignalSpec,
  method: FittedMethod | 'auto',
  drafts: readonly LabelledDraft[],
): Judgement {
  const unseen = crossFitted(drafts, (rows) => {
    const calibration = fit(signal, method, rows);
    return (draft) => confidenceIn(signal, calibration, draft);
  });
  const rows = unseen.map(({ row, confidence }): JudgedDocument & LabelledDraft => ({
    ...row,
    confidence,
    drafterRight: row.right,
  }));
  const uncalibrated = signal.name === 'head' ? null : calibrated({ signal, calibration: null }, 0);
  const before =
    uncalibrated === null
      ? null
      : drafts.map((draft) => ({ ...draft, confidence: confidenceIn(signal, null, draft), drafterRight: draft.right }));
  const interval = { random: seededRandom(1), samples: BOOTSTRAPS };
  const measured = (measure: (sample: readonly JudgedDocument[]) => number | null): Measure => ({
    value: measure(rows),
    interval: bootstrapInterval(rows, measure, interval),
  });
  const share = (holds: (draft: LabelledDraft) => boolean): number => drafts.filter(holds).length / drafts.length;
  const summary = {
    labels: {
      total: drafts.length,
      right: drafts.filter((draft) => draft.right).length,
      expert_assumed: drafts.filter((draft) => draft.isExpertAssumed).length,
      no_evidence: drafts.filter((draft) => !hasEvidence(signal, draft)).length,
    },
    drafter_accuracy: share((draft) => draft.right),
    expert_accuracy: share((draft) => draft.expertRight),
    auroc: measured(areaUnderRoc),
    audc: measured((sample) => deferralOf(sample).audc),
    gain: measured((sample) => deferralOf(sample).gain),
  };
  const [drafter, expert] = [summary.drafter_accuracy, summary.expert_accuracy];
  const curve = deferralCurve(rows);
  return {
    ...summary,
    before: before === null ? null : reliabilityOf(before),
    after: reliabilityOf(rows),
    curves: {
      signal: thinned(curve),
      random: [
        { escalated: 0, accuracy: drafter },
        { escalated: 1, accuracy: expert },
      ],
      oracle: thinned(oracleCurve(rows)),
    },
    risk_coverage: thinned(riskCoverage(rows)),
    thresholds: thresholdsOf(rows),
    all_expert_usd_per_1000: dollars(drafts, ({ expertUsd }) => expertUsd),
    verdict: verdictOf(signal, drafts, summary),
  };
}

const reliabilityOf = (rows: readonly JudgedDocument[]) => ({
  ece: calibrationError(rows),
  brier: brierScore(rows),
  reliability: binsOf(rows),
});

/** Bins of equally many drafts, least sure first. */
function binsOf(rows: readonly JudgedDocument[]): Bin[] {
  const sorted = rows.toSorted((left, right) => left.confidence - right.confidence);
  return Array.from({ length: BINS }, (_, bin) => {
    const at = (edge: number): number => Math.floor((edge * sorted.length) / BINS);
    const members = sorted.slice(at(bin), at(bin + 1));
    const mean = (value: (row: JudgedDocument) => number): number =>
      members.reduce((sum, row) => sum + value(row), 0) / members.length;
    return {
      confidence: mean((row) => row.confidence),
      right: mean((row) => Number(row.drafterRight)),
      count: members.length,
    };
  }).filter(({ count }) => count > 0);
}

/** How many of the accepted drafts are wrong, over the share that is accepted, the surest first (El-Yaniv, Wiener 2010). */
function riskCoverage(rows: readonly JudgedDocument[]): { coverage: number; risk: number }[] {
  const sorted = rows.toSorted((left, right) => right.confidence - left.confidence);
  let wrong = 0;
  return sorted.map((row, at) => {
    wrong += Number(!row.drafterRight);
    return { coverage: (at + 1) / sorted.length, risk: wrong / (at + 1) };
  });
}

const thinned = <Point>(points: readonly Point[]): Point[] => {
  const step = Math.max(1, Math.ceil(points.length / POINTS));
  return points.filter((_, at) => at % step === 0 || at === points.length - 1);
};

function dollars(drafts: readonly LabelledDraft[], of: (draft: LabelledDraft) => number | null): number | null {
  const known = drafts.map(of);
  if (known.some((usd) => usd === null) || known.length === 0) return null;
  return (1_000 * known.reduce((sum: number, usd) => sum + (usd ?? 0), 0)) / known.length;
}

type Row = JudgedDocument & LabelledDraft;

/** What a threshold gives, on drafts that the calibration has not seen. */
function thresholdRow(rows: readonly Row[], acceptAt: number): ThresholdRow {
  const goes = ({ confidence }: Row): boolean => confidence < acceptAt;
  const right = rows.filter((row) => (goes(row) ? row.expertRight : row.drafterRight)).length;
  const usd = (draft: LabelledDraft): number | null => {
    if (draft.draftUsd === null || draft.expertUsd === null) return null;
    return draft.draftUsd + (goes(draft as Row) ? draft.expertUsd : 0);
  };
  return {
    accept_at: acceptAt,
    escalated: rows.filter(goes).length / rows.length,
    accuracy: right / rows.length,
    usd_per_1000: dollars(rows, usd),
  };
}

/** Some round thresholds, and as many as there are steps of two percent of the documents. */
function thresholdsOf(rows: readonly Row[]): ThresholdRow[] {
  const sorted = rows.map(({ confidence }) => confidence).toSorted((left, right) => left - right);
  const steps = Array.from({ length: 49 }, (_, at) => sorted[Math.floor(((at + 1) * sorted.length) / 50)] ?? 1);
  const wanted = [...new Set([0, ...THRESHOLDS, ...steps.map((value) => Number(value.toFixed(4)))])].toSorted(
    (left, right) => left - right,
  );
  return wanted.map((acceptAt) => thresholdRow(rows, acceptAt));
}

/** A drafter within this of the expert is as good. */
const AS_GOOD = 0.005;

function verdictOf(
  signal: SignalSpec,
  drafts: readonly LabelledDraft[],
  {
    gain,
    drafter_accuracy: drafter,
    expert_accuracy: expert,
  }: Pick<Judgement, 'gain' | 'drafter_accuracy' | 'expert_accuracy'>,
): Verdict {
  const why = refusal(signal, drafts);
  if (why !== null) return { kind: 'cannot_be_judged', why };
  const shown = (value: number): string => `${(100 * value).toFixed(1)} %`;
  if (drafter >= expert - AS_GOOD) {
    return {
      kind: 'does_not_pay',
      why: `the drafter (${shown(drafter)}) is as good as the expert (${shown(expert)}): use it without an expert`,
    };
  }
  if (gain.interval === null || gain.interval[0] <= 0) {
    return { kind: 'does_not_pay', why: 'the confidence is at chance: drawing at random would be as good' };
  }
  const [low, high] = gain.interval;
  return {
    kind: 'pays',
    why: `the signal gets ${shown(gain.value ?? 0)} (${shown(low)} to ${shown(high)}) of what knowing beforehand would gain over drawing at random`,
  };
}

/** The threshold with the least escalated that reaches an accuracy, or with the most accuracy within an expert's share. */
export function chooseThreshold(
  thresholds: readonly ThresholdRow[],
  wish: { readonly accuracy: number } | { readonly expertShare: number },
): ThresholdRow | null {
  if ('accuracy' in wish) return thresholds.find(({ accuracy }) => accuracy >= wish.accuracy) ?? null;
  return thresholds.findLast(({ escalated }) => escalated <= wish.expertShare) ?? null;
}
