import {
  areaUnderRoc,
  bestCalibration,
  calibrated,
  crossFitted,
  cutText,
  deferralCurve,
  deferralOf,
  fitCalibration,
  fitHead,
  headScore,
  oracleCurve,
  type CalibrationMethod,
  type DeferralPoint,
  type FittedMethod,
  type JudgedDocument,
  type SignalSpec,
} from '@spillway/core';
import type { LabelledDraft } from './labelled.ts';
import { measured, NOTHING, type Measure } from './measure.ts';
import { reliabilityOf, riskCoverage, tenthsOf, type Reliability } from './reliability.ts';
import {
  chooseThreshold,
  dollars,
  measuredAt,
  measuredToday,
  thresholdsOf,
  type MeasuredRow,
  type Row,
  type ThresholdRow,
  type WishedFor,
} from './thresholds.ts';
import { verdictOf, wishOf, wishText, type Verdict } from './verdict.ts';

/** A draft that is wrong though the calibration is sure of it. */
type SureAndWrong = {
  readonly custom_id: string;
  readonly confidence: number;
  readonly draft: string;
  /** Null: the label only says that the draft is wrong. */
  readonly wanted: string | null;
};

export type Judgement = {
  readonly labels: {
    readonly total: number;
    readonly right: number;
    readonly no_evidence: number;
    /** Where nobody can say whether the expert is right; among them those that it was not asked about. */
    readonly expert_unknown: number;
    readonly expert_unasked: number;
  };
  readonly drafter_accuracy: number;
  /** Null, as all that needs it: of some documents nobody can say whether the expert is right. */
  readonly expert_accuracy: number | null;
  /** As the uncalibrated score says, where it says anything. */
  readonly before: Reliability | null;
  /** Of drafts that the fit has not seen (five folds). */
  readonly after: Reliability;
  /** How many drafts have a confidence in each tenth. */
  readonly confidences: readonly number[];
  readonly auroc: Measure;
  readonly audc: Measure;
  readonly gain: Measure;
  /** By how much the expert's accuracy is above the drafter's. */
  readonly better: Measure;
  readonly curves: Readonly<Record<'signal' | 'random' | 'oracle', readonly DeferralPoint[]>> | null;
  readonly risk_coverage: readonly { readonly coverage: number; readonly risk: number }[];
  readonly thresholds: readonly ThresholdRow[];
  /** What the rules give by which the batch was decided; null: their threshold is not known. */
  readonly today: MeasuredRow | null;
  readonly all_expert_usd_per_1000: number | null;
  /** What a threshold was looked for; null: nothing was said, and the expert's accuracy is not known. */
  readonly wish: string | null;
  /** What serves the wish; null: nothing does. What to set is in the verdict. */
  readonly chosen: MeasuredRow | null;
  /** The surest first. */
  readonly sure_and_wrong: readonly SureAndWrong[];
  readonly verdict: Verdict;
};

export const MIN_LABELS = 50;
/** Points of a curve in the report; more are not seen. */
const POINTS = 200;
const SURE_AND_WRONG = 10;
const SHOWN_CHARACTERS = 300;

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

/** Why nothing can be learnt; null: something can. */
export function refusal(signal: SignalSpec, drafts: readonly LabelledDraft[]): string | null {
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
  { wish = null, acceptAt = null }: { readonly wish?: WishedFor | null; readonly acceptAt?: number | null } = {},
): Judgement {
  const unseen = crossFitted(drafts, (rows) => {
    const calibration = fit(signal, method, rows);
    return (draft) => confidenceIn(signal, calibration, draft);
  });
  // Of a single draft nothing is learnt, so that it is not sure at all.
  const judged = unseen.length > 0 ? unseen : drafts.map((row) => ({ row, confidence: 0 }));
  const rows = judged.map(({ row, confidence }): Row => ({ ...row, confidence, drafterRight: row.right }));
  const count = (holds: (draft: LabelledDraft) => boolean): number => drafts.filter(holds).length;
  const ranked = rows
    .map((row) => ({ ...row, confidence: rankOf(signal, row) }))
    .toSorted((left, right) => left.confidence - right.confidence);
  const known = ranked.flatMap(({ expertRight, ...row }) => (expertRight === null ? [] : [{ ...row, expertRight }]));
  const isWhole = known.length === rows.length;
  const ofBoth = (measure: (sample: readonly JudgedDocument[]) => number | null): Measure =>
    isWhole ? measured(known, measure) : NOTHING;
  const weighed = {
    labels: {
      total: drafts.length,
      right: count((draft) => draft.right),
      no_evidence: count((draft) => !hasEvidence(signal, draft)),
      expert_unknown: drafts.length - known.length,
      expert_unasked: count((draft) => draft.expertRight === null && !draft.isExpertAsked),
    },
    drafter_accuracy: count((draft) => draft.right) / drafts.length,
    expert_accuracy: isWhole ? count((draft) => draft.expertRight === true) / drafts.length : null,
    auroc: measured(ranked, areaUnderRoc),
    audc: ofBoth((sample) => deferralOf(sample).audc),
    gain: ofBoth((sample) => deferralOf(sample).gain),
    better: ofBoth((sample) => mean(sample, (row) => Number(row.expertRight) - Number(row.drafterRight))),
    thresholds: thresholdsOf(rows),
  };
  const why = refusal(signal, drafts);
  const wished = wishOf(wish, weighed.expert_accuracy);
  const chosen = wished === null ? null : chooseThreshold(weighed.thresholds, wished);
  return {
    ...weighed,
    before: beforeOf(signal, drafts),
    after: reliabilityOf(rows),
    confidences: tenthsOf(rows),
    curves: isWhole ? curvesOf(known) : null,
    risk_coverage: thinned(riskCoverage(rows)),
    today: acceptAt === null ? null : measuredToday(rows, acceptAt),
    all_expert_usd_per_1000: dollars(drafts, ({ expertUsd }) => expertUsd),
    wish: wished === null ? null : wishText(wish, wished, isWhole),
    chosen: chosen === null ? null : measuredAt(rows, chosen.accept_at),
    sure_and_wrong: sureAndWrong(rows),
    verdict:
      why === null ? verdictOf({ ...weighed, rows, wish }) : { kind: 'cannot_be_judged', why, recommended: null },
  };
}

/**
 * What puts drafts in their order: the score, which no fit changes; a head's confidence. The folds' fits differ by what
 * each has not seen, so where a score says nothing their confidences together say less than nothing.
 */
const rankOf = ({ name }: SignalSpec, { score, confidence }: Row): number =>
  name === 'head' ? confidence : (score ?? -Number.MAX_VALUE);

const mean = <One>(rows: readonly One[], of: (row: One) => number): number =>
  rows.reduce((sum, row) => sum + of(row), 0) / rows.length;

/** What the score says by itself; null: nothing without a calibration. */
function beforeOf(signal: SignalSpec, drafts: readonly LabelledDraft[]): Reliability | null {
  if (signal.name === 'head' || calibrated({ signal, calibration: null }, 0) === null) return null;
  return reliabilityOf(
    drafts.map((draft) => ({ confidence: confidenceIn(signal, null, draft), drafterRight: draft.right })),
  );
}

function curvesOf(rows: readonly JudgedDocument[]): NonNullable<Judgement['curves']> {
  const curve = deferralCurve(rows);
  const [from, to] = [curve[0], curve.at(-1)];
  return {
    signal: thinned(curve),
    random: from === undefined || to === undefined ? [] : [from, to],
    oracle: thinned(oracleCurve(rows)),
  };
}

const thinned = <Point>(points: readonly Point[]): Point[] => {
  const step = Math.max(1, Math.ceil(points.length / POINTS));
  return points.filter((_, at) => at % step === 0 || at === points.length - 1);
};

const sureAndWrong = (rows: readonly Row[]): SureAndWrong[] =>
  rows
    .filter(({ right }) => !right)
    .toSorted((left, right) => right.confidence - left.confidence)
    .slice(0, SURE_AND_WRONG)
    .map(({ customId, confidence, draft, wanted }) => ({
      custom_id: customId,
      confidence,
      draft: cutText(draft, SHOWN_CHARACTERS),
      wanted: wanted === null ? null : cutText(wanted, SHOWN_CHARACTERS),
    }));
