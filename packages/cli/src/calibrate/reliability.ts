import { brierScore, calibrationError, shareInterval, type JudgedDocument } from '@spillway/core';

type Judged = Pick<JudgedDocument, 'confidence' | 'drafterRight'>;

/** Drafts about equally sure: their mean confidence, the share of right ones with its 95 % interval, how many they are. */
export type Bin = {
  readonly confidence: number;
  readonly right: number;
  readonly interval: readonly [number, number];
  readonly count: number;
};

export type Reliability = { readonly ece: number; readonly brier: number; readonly reliability: readonly Bin[] };

const BINS = 10;

export const reliabilityOf = (rows: readonly Judged[]): Reliability => ({
  ece: calibrationError(rows),
  brier: brierScore(rows),
  reliability: binsOf(rows),
});

/** Bins of equally many drafts, least sure first. */
function binsOf(rows: readonly Judged[]): Bin[] {
  const sorted = rows.toSorted((left, right) => left.confidence - right.confidence);
  return Array.from({ length: BINS }, (_, bin) => {
    const at = (edge: number): number => Math.floor((edge * sorted.length) / BINS);
    const members = sorted.slice(at(bin), at(bin + 1));
    const count = members.length;
    const right = members.filter(({ drafterRight }) => drafterRight).length;
    return {
      confidence: members.reduce((sum, { confidence }) => sum + confidence, 0) / count,
      right: right / count,
      interval: shareInterval(right, count),
      count,
    };
  }).filter(({ count }) => count > 0);
}

/** How many drafts have a confidence in each tenth. */
export function tenthsOf(rows: readonly Judged[]): number[] {
  const counts = Array.from({ length: BINS }, () => 0);
  for (const { confidence } of rows) {
    const tenth = Math.min(BINS - 1, Math.floor(confidence * BINS));
    counts[tenth] = (counts[tenth] ?? 0) + 1;
  }
  return counts;
}

/** How many of the accepted drafts are wrong, over the share that is accepted, the surest first (El-Yaniv, Wiener 2010). */
export function riskCoverage(rows: readonly Judged[]): { coverage: number; risk: number }[] {
  const sorted = rows.toSorted((left, right) => right.confidence - left.confidence);
  let wrong = 0;
  return sorted.map((row, at) => {
    wrong += Number(!row.drafterRight);
    return { coverage: (at + 1) / sorted.length, risk: wrong / (at + 1) };
  });
}
