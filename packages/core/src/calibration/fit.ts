import type { SignalSpec } from '../confidence/spec.ts';
import { FEATURES, FEATURES_VERSION } from '../confidence/features.ts';
import { headLogit } from '../confidence/head.ts';
import { isotonicPoints, type ScoredLabel } from './isotonic.ts';
import { fitLogistic, type LabelledRow } from './logistic.ts';
import { betaParts, calibrated, transformed, type CalibrationMethod } from './method.ts';

/** The ways to fit a score. */
export const FITTED = ['platt', 'isotonic', 'beta', 'identity'] as const;
export type FittedMethod = (typeof FITTED)[number];

/** As many digits as a probability can need; artefacts travel with every document. */
const rounded = (value: number): number => Number(value.toPrecision(8));

/** Fits a calibration of a signal's score. Labels of one class only give a level curve. */
export function fitCalibration(
  signal: SignalSpec,
  method: FittedMethod,
  labels: readonly ScoredLabel[],
): CalibrationMethod {
  switch (method) {
    case 'identity':
      return { method };
    case 'platt': {
      const { weights, bias } = rising(labels.map(({ score, right }) => ({ x: [transformed(signal, score)], right })));
      return { method, a: rounded(weights[0] ?? 0), b: rounded(bias) };
    }
    case 'beta': {
      const rows = labels.map(({ score, right }): LabelledRow => {
        const parts = betaParts(signal, score);
        if (parts === null) throw new RangeError(`${signal.name} is no probability: beta cannot be fitted on it`);
        return { x: parts, right };
      });
      const { weights, bias } = rising(rows);
      return { method, a: rounded(weights[0] ?? 0), b: rounded(weights[1] ?? 0), c: rounded(bias) };
    }
    case 'isotonic': {
      return { method, curve: curveOf(labels) };
    }
  }
}

const curveOf = (labels: readonly ScoredLabel[]) => {
  const { scores, values } = isotonicPoints(labels);
  return { scores: scores.map(rounded), values: values.map(rounded) };
};

/** Fewer labels than this are too few for a curve of steps. */
const ISOTONIC_LABELS = 300;
const FOLDS = 5;

/**
 * Fits the method that judges best labels that it has not seen (five folds, Brier score): Platt, beta where the score is
 * a probability, and isotonic from 300 labels on.
 */
export function bestCalibration(signal: SignalSpec, labels: readonly ScoredLabel[]): CalibrationMethod {
  const methods = FITTED.filter((method) => {
    if (method === 'isotonic') return labels.length >= ISOTONIC_LABELS;
    if (method === 'beta') return betaParts(signal, labels[0]?.score ?? 0) !== null;
    return method === 'platt';
  });
  const errors = methods.map((method) => unseenError(signal, method, labels));
  const best = methods[errors.indexOf(Math.min(...errors))] ?? 'platt';
  return fitCalibration(signal, best, labels);
}

/** The mean square of what a method says of labels against what they are, each judged by a fit without it. */
function unseenError(signal: SignalSpec, method: FittedMethod, labels: readonly ScoredLabel[]): number {
  const errors = folds(labels, FOLDS).flatMap(({ learn, judge }) => {
    if (learn.length === 0) return [];
    const calibration = fitCalibration(signal, method, learn);
    return judge.map(({ score, right }) => ((calibrated({ signal, calibration }, score) ?? 0) - Number(right)) ** 2);
  });
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

/** A logistic fit whose weights are not negative: those that would be are taken out, as Kull et al. do. */
function rising(rows: readonly LabelledRow[]): { weights: number[]; bias: number } {
  const width = rows[0]?.x.length ?? 0;
  let kept = Array.from({ length: width }, (_, at) => at);
  for (;;) {
    const fit = fitLogistic(
      rows.map(({ x, right }) => ({ x: kept.map((at) => x[at] ?? 0), right })),
      { penalty: 1e-6 },
    );
    const falling = kept.filter((_, at) => (fit.weights[at] ?? 0) < 0);
    if (falling.length === 0) {
      const weights = Array.from({ length: width }, () => 0);
      for (const [at, original] of kept.entries()) weights[original] = fit.weights[at] ?? 0;
      return { weights, bias: fit.bias };
    }
    const [worst] = falling.toSorted(
      (left, right) => (fit.weights[kept.indexOf(left)] ?? 0) - (fit.weights[kept.indexOf(right)] ?? 0),
    );
    kept = kept.filter((at) => at !== worst);
  }
}

/** Of the penalty of the head's weights, which stand for features of variance 1. */
const HEAD_PENALTY = 1;

/**
 * Learns the head from drafts' features (see `headFeatures`): a logistic regression over the standardised features,
 * folded back into weights of the features themselves; then its log-odds are calibrated on the folds that each part has
 * not seen, because a fit is surer of the labels that it saw.
 */
export function fitHead(rows: readonly LabelledRow[]): CalibrationMethod {
  const head = headOf(rows);
  const unseen = folds(rows, FOLDS).flatMap(({ learn, judge }): ScoredLabel[] => {
    if (!hasBoth(learn)) return [];
    const part = headOf(learn);
    return judge.map(({ x, right }) => ({ score: headLogit(part, x), right }));
  });
  if (!hasBoth(unseen)) return head;
  const best = bestCalibration(LOG_ODDS, unseen);
  if (best.method === 'isotonic') return { ...head, curve: best.curve };
  if (best.method !== 'platt') return head;
  const { a, b } = best;
  return { ...head, weights: head.weights.map((weight) => rounded(weight * a)), bias: rounded(head.bias * a + b) };
}

/** Log-odds are a score that is no probability, as a margin is. */
const LOG_ODDS: SignalSpec = { name: 'margin', over: 'min' };

/** The score that a learnt head gives some features. */
export function headScore(head: CalibrationMethod, features: readonly number[]): number {
  if (head.method !== 'head') throw new RangeError(`a calibration by ${head.method} is no head`);
  return headLogit(head, features);
}

const hasBoth = (rows: readonly { readonly right: boolean }[]): boolean =>
  rows.some(({ right }) => right) && rows.some(({ right }) => !right);

function headOf(rows: readonly LabelledRow[]): Extract<CalibrationMethod, { method: 'head' }> {
  const columns = FEATURES.map((_, at) => rows.map(({ x }) => x[at] ?? 0));
  const means = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / Math.max(1, rows.length));
  const scales = columns.map((column, at) => {
    const variance = column.reduce((sum, value) => sum + (value - (means[at] ?? 0)) ** 2, 0) / Math.max(1, rows.length);
    // A feature that never changes says nothing.
    return variance > 1e-12 ? 1 / Math.sqrt(variance) : 0;
  });
  const standard = rows.map(({ x, right }) => ({
    x: FEATURES.map((_, at) => ((x[at] ?? 0) - (means[at] ?? 0)) * (scales[at] ?? 0)),
    right,
  }));
  const fit = fitLogistic(standard, { penalty: HEAD_PENALTY });
  const weights = fit.weights.map((weight, at) => weight * (scales[at] ?? 0));
  const bias = fit.bias - weights.reduce((sum, weight, at) => sum + weight * (means[at] ?? 0), 0);
  return {
    method: 'head',
    features: FEATURES_VERSION,
    weights: weights.map(rounded),
    bias: rounded(bias),
    curve: null,
  };
}

/** How sure a fit is of each row that it has not seen: five folds, each judged by what the other four taught. */
export function crossFitted<Row>(
  rows: readonly Row[],
  learn: (rows: readonly Row[]) => (row: Row) => number,
): { readonly row: Row; readonly confidence: number }[] {
  return folds(rows, FOLDS).flatMap((fold) => {
    if (fold.learn.length === 0) return [];
    const confidenceOf = learn(fold.learn);
    return fold.judge.map((row) => ({ row, confidence: confidenceOf(row) }));
  });
}

/** Every row is judged once, by what was learnt without it. */
function folds<Row>(rows: readonly Row[], count: number): { learn: Row[]; judge: Row[] }[] {
  return Array.from({ length: count }, (_, fold) => ({
    learn: rows.filter((_row, at) => at % count !== fold),
    judge: rows.filter((_row, at) => at % count === fold),
  }));
}
