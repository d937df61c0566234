import {
  areaUnderRoc,
  bestCalibration,
  bootstrapInterval,
  brierScore,
  calibrated,
  calibrationError,
  cascadeAt,
  deferralOf,
  fitHead,
  headScore,
  seededRandom,
  SIGNALS,
  thresholdFor,
  type CalibrationMethod,
  type JudgedDocument,
  type SignalSpec,
} from '@spillway/core';
import type { BenchData, BenchRow } from './rows.ts';

/** How good a signal is on rows that its calibration has not seen. What needs a probability is null without one. */
export type SignalVerdict = {
  readonly signal: string;
  readonly calibrated: boolean;
  /** How it was calibrated; null: not at all. */
  readonly method: string | null;
  readonly auroc: number | null;
  readonly audc: number;
  readonly gain: number | null;
  /** A 95 % bootstrap interval of the gain. */
  readonly gain_interval: readonly [number, number] | null;
  readonly ece: number | null;
  readonly brier: number | null;
  /** What is kept of the expert's accuracy with at most 30 % escalated, at a threshold chosen on the learning half. */
  readonly at_30_percent: { readonly escalated: number; readonly of_expert: number };
};

export type BenchVerdict = {
  readonly learnt_on: number;
  readonly judged_on: number;
  readonly drafter: number;
  readonly expert: number;
  /** Areas under the deferral curves of drawing at random and of knowing beforehand. */
  readonly random: number;
  readonly oracle: number;
  readonly signals: readonly SignalVerdict[];
};

const BOOTSTRAPS = 200;

/** Judges every signal, as it is and calibrated, and the head; the best gain first. */
export function judgeSignals({ signals, learn, judge }: BenchData): BenchVerdict {
  const verdicts: SignalVerdict[] = [];
  for (const [name, signal] of Object.entries(signals)) {
    const scoreOf = (row: BenchRow): number | null => row.scores[name] ?? null;
    if (SIGNALS[signal.name].probability !== null) {
      verdicts.push(verdictOf({ name, signal, calibration: null, scoreOf }, { learn, judge }));
    } else verdicts.push(rankOnly({ name, signal, calibration: null, scoreOf }, { learn, judge }));
    const labels = learn.flatMap((row) => {
      const score = scoreOf(row);
      return score === null ? [] : [{ score, right: row.drafterRight }];
    });
    const calibration = bestCalibration(signal, labels);
    verdicts.push(verdictOf({ name, signal, calibration, scoreOf }, { learn, judge }));
  }
  const rows = learn.flatMap(({ features, drafterRight }) =>
    features === null ? [] : [{ x: features, right: drafterRight }],
  );
  const head = fitHead(rows);
  const scoreOf = ({ features }: BenchRow): number | null => (features === null ? null : headScore(head, features));
  verdicts.push(verdictOf({ name: 'head', signal: { name: 'head' }, calibration: head, scoreOf }, { learn, judge }));
  const share = (holds: (row: BenchRow) => boolean): number => judge.filter(holds).length / judge.length;
  const { random, oracle } = deferralOf(judge.map((row) => ({ ...row, confidence: 0 })));
  return {
    learnt_on: learn.length,
    judged_on: judge.length,
    drafter: share((row) => row.drafterRight),
    expert: share((row) => row.expertRight),
    random,
    oracle,
    signals: verdicts.toSorted((left, right) => (right.gain ?? 0) - (left.gain ?? 0)),
  };
}

type Rule = {
  readonly name: string;
  readonly signal: SignalSpec;
  readonly calibration: CalibrationMethod | null;
  readonly scoreOf: (row: BenchRow) => number | null;
};
type Halves = { readonly learn: readonly BenchRow[]; readonly judge: readonly BenchRow[] };

/** What has no evidence is the least sure of all, as it is escalated whatever the threshold. */
const judgedBy = (
  rows: readonly BenchRow[],
  confidenceOf: (score: number) => number,
  { scoreOf }: Rule,
  none: number,
): JudgedDocument[] =>
  rows.map((row) => {
    const score = scoreOf(row);
    return {
      confidence: score === null ? none : confidenceOf(score),
      drafterRight: row.drafterRight,
      expertRight: row.expertRight,
    };
  });

function verdictOf(rule: Rule, { learn, judge }: Halves): SignalVerdict {
  const confidenceOf = (score: number): number => calibrated(rule, score) ?? Number.NaN;
  const rows = judgedBy(judge, confidenceOf, rule, 0);
  const ranked = ranking(rule, rows, judgedBy(learn, confidenceOf, rule, 0));
  return { ...ranked, ece: calibrationError(rows), brier: brierScore(rows) };
}

/** A score that is no probability: it can only be judged by the order that it gives. */
function rankOnly(rule: Rule, { learn, judge }: Halves): SignalVerdict {
  const itself = (score: number): number => score;
  const rows = judgedBy(judge, itself, rule, Number.NEGATIVE_INFINITY);
  return ranking(rule, rows, judgedBy(learn, itself, rule, Number.NEGATIVE_INFINITY));
}

function ranking(rule: Rule, rows: readonly JudgedDocument[], learnt: readonly JudgedDocument[]): SignalVerdict {
  const { audc, gain } = deferralOf(rows);
  const { escalated, accuracy } = cascadeAt(rows, thresholdFor(learnt, 0.3));
  const expert = rows.filter(({ expertRight }) => expertRight).length / rows.length;
  const interval = { random: seededRandom(1), samples: BOOTSTRAPS };
  return {
    signal: rule.name,
    calibrated: rule.calibration !== null,
    method: rule.calibration?.method ?? null,
    auroc: areaUnderRoc(rows),
    audc,
    gain,
    gain_interval: bootstrapInterval(rows, (sample) => deferralOf(sample).gain, interval),
    ece: null,
    brier: null,
    at_30_percent: { escalated, of_expert: accuracy / expert },
  };
}
