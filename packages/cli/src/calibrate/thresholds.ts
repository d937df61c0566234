import { shareInterval, type JudgedDocument } from '@spillway/core';
import type { LabelledDraft } from './labelled.ts';
import { measured } from './measure.ts';

/** A draft, and how sure a calibration that has not seen it is of it. */
export type Row = LabelledDraft & Omit<JudgedDocument, 'expertRight'>;

type Interval = readonly [number, number];

/** What a threshold gives. */
export type ThresholdRow = {
  readonly accept_at: number;
  readonly escalated: number;
  /** Of the final answers; null: nobody can say whether the expert is right where it would answer. */
  readonly accuracy: number | null;
  /** Of the accepted drafts; null: there are none. */
  readonly accepted_right: number | null;
  /** Null: a price is not known, or what an expert takes that was not asked. */
  readonly usd_per_1000: number | null;
};

/** A threshold with what is saved by it of the expert's money, and with 95 % intervals. */
export type MeasuredRow = ThresholdRow & {
  readonly saved: number | null;
  readonly intervals: {
    readonly escalated: Interval;
    readonly accuracy: Interval | null;
    readonly accepted_right: Interval | null;
    readonly saved: Interval | null;
  };
};

/** What a user wishes a threshold for. */
export type WishedFor = { readonly accuracy: number } | { readonly expertShare: number };

const THRESHOLDS = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99];

/** A mean per 1,000 documents; null: of some it is not known. */
export function dollars<One>(rows: readonly One[], of: (row: One) => number | null): number | null {
  const known = rows.map(of);
  if (known.some((usd) => usd === null) || known.length === 0) return null;
  return (1_000 * known.reduce((sum: number, usd) => sum + (usd ?? 0), 0)) / known.length;
}

type Goes = (row: Row) => boolean;

const costOf = (row: Row, goes: Goes): number | null => {
  if (row.draftUsd === null) return null;
  if (!goes(row)) return row.draftUsd;
  return row.expertUsd === null ? null : row.draftUsd + row.expertUsd;
};

function rowOf(rows: readonly Row[], acceptAt: number, goes: Goes): ThresholdRow {
  const accepted = rows.filter((row) => !goes(row));
  const isUnknown = rows.some((row) => goes(row) && row.expertRight === null);
  const right = rows.filter((row) => (goes(row) ? row.expertRight === true : row.drafterRight)).length;
  return {
    accept_at: acceptAt,
    escalated: 1 - accepted.length / rows.length,
    accuracy: isUnknown ? null : right / rows.length,
    accepted_right:
      accepted.length === 0 ? null : accepted.filter(({ drafterRight }) => drafterRight).length / accepted.length,
    usd_per_1000: dollars(rows, (row) => costOf(row, goes)),
  };
}

/** The same with intervals: exact ones of shares, a bootstrap of money. */
function measuredRow(rows: readonly Row[], acceptAt: number, goes: Goes): MeasuredRow {
  const row = rowOf(rows, acceptAt, goes);
  const accepted = rows.length - rows.filter(goes).length;
  const of = (share: number | null, total: number): Interval | null =>
    share === null ? null : shareInterval(Math.round(share * total), total);
  const saved = (sample: readonly Row[]): number | null => {
    const all = dollars(sample, ({ expertUsd }) => expertUsd);
    const usd = dollars(sample, (one) => costOf(one, goes));
    return all === null || usd === null || all <= 0 ? null : 1 - usd / all;
  };
  const money = measured(rows, saved);
  return {
    ...row,
    saved: money.value,
    intervals: {
      escalated: shareInterval(rows.length - accepted, rows.length),
      accuracy: of(row.accuracy, rows.length),
      accepted_right: of(row.accepted_right, accepted),
      saved: money.interval,
    },
  };
}

/** What a threshold gives, on drafts that the calibration has not seen. */
export const measuredAt = (rows: readonly Row[], acceptAt: number): MeasuredRow =>
  measuredRow(rows, acceptAt, ({ confidence }) => confidence < acceptAt);

/** What the rules give that the batch was decided by. */
export const measuredToday = (rows: readonly Row[], acceptAt: number): MeasuredRow =>
  measuredRow(rows, acceptAt, ({ isAcceptedToday }) => !isAcceptedToday);

/** Some round thresholds, and as many as there are steps of two percent of the documents. */
export function thresholdsOf(rows: readonly Row[]): ThresholdRow[] {
  const sorted = rows.map(({ confidence }) => confidence).toSorted((left, right) => left - right);
  const steps = Array.from({ length: 49 }, (_, at) => sorted[Math.floor(((at + 1) * sorted.length) / 50)] ?? 1);
  const wanted = [...new Set([0, ...THRESHOLDS, ...steps.map((value) => Number(value.toFixed(4)))])].toSorted(
    (left, right) => left - right,
  );
  return wanted.map((acceptAt) => rowOf(rows, acceptAt, ({ confidence }) => confidence < acceptAt));
}

/**
 * The threshold with the least escalated that reaches an accuracy (of the accepted drafts where nobody can say what the
 * expert's answers are worth), or with the most accuracy within an expert's share.
 */
export function chooseThreshold(thresholds: readonly ThresholdRow[], wish: WishedFor): ThresholdRow | null {
  if ('expertShare' in wish) return thresholds.findLast(({ escalated }) => escalated <= wish.expertShare) ?? null;
  const isPartial = thresholds.some(({ accuracy }) => accuracy === null);
  const reached = ({ accuracy, accepted_right: right }: ThresholdRow) => (isPartial ? right : accuracy) ?? -1;
  return thresholds.find((row) => reached(row) >= wish.accuracy) ?? null;
}
