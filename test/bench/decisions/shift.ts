import { audited, seededRandom, startAudit } from '@spillway/core';
import type { PairedRow } from './rows.ts';

/** When an audit alarms after documents of another kind have come, whose drafts the same threshold accepts. */
export type ShiftFigure = {
  /** Of the usual documents: what share is accepted, and what share of that disagrees. */
  readonly usual: { readonly accepted: number; readonly disagreeing: number };
  readonly shifted: { readonly accepted: number; readonly disagreeing: number };
  readonly delays: readonly {
    /** Audits of usual documents before. */
    readonly before: number;
    /** Audits from the change on until the alarm: in the median, and the number that nine of ten runs need at most. */
    readonly median: number | null;
    readonly most: number | null;
    /** Of the runs, those that alarm before the change. */
    readonly tooEarly: number;
  }[];
};

const TERMS = { mayDisagree: 0.05, delta: 0.05 };
/** A threshold leaves something between what disagrees and what may. */
const USUAL_RATE = 0.03;
const BEFORE = [0, 200, 1_000];
const RUNS = 2_000;
const MOST = 20_000;

/** The least score above which at most this share of the rows disagrees. */
function thresholdFor(rows: readonly PairedRow[], rate: number): number {
  const judged = rows.flatMap(({ score, agrees }) => (score === null ? [] : [{ score, agrees }]));
  judged.sort((left, right) => right.score - left.score);
  let [wrong, threshold] = [0, Number.POSITIVE_INFINITY];
  for (const [at, { score, agrees }] of judged.entries()) {
    wrong += Number(!agrees);
    // Equal scores are accepted together.
    if (judged[at + 1]?.score !== score && wrong <= rate * (at + 1)) threshold = score;
  }
  return threshold;
}

export function measureShift(usual: readonly PairedRow[], shifted: readonly PairedRow[], seed: number): ShiftFigure {
  const random = seededRandom(seed);
  const threshold = thresholdFor(usual, USUAL_RATE);
  const acceptedOf = (rows: readonly PairedRow[]) => {
    const accepted = rows.filter(({ score }) => score !== null && score >= threshold);
    const disagreeing = accepted.filter(({ agrees }) => !agrees).length / Math.max(1, accepted.length);
    return { accepted: accepted.length / rows.length, disagreeing };
  };
  const [before, after] = [acceptedOf(usual), acceptedOf(shifted)];
  const delays = BEFORE.map((audits) => {
    const alarms = Array.from({ length: RUNS }, () =>
      alarmAfter(audits, [before.disagreeing, after.disagreeing], random),
    );
    const sorted = alarms.map((at) => at - audits).toSorted((left, right) => left - right);
    const quantile = (share: number): number | null => {
      const found = sorted[Math.ceil(share * RUNS) - 1] ?? Number.POSITIVE_INFINITY;
      return Number.isFinite(found) ? found : null;
    };
    const tooEarly = alarms.filter((at) => at <= audits).length / RUNS;
    return { before: audits, median: quantile(0.5), most: quantile(0.9), tooEarly };
  });
  return { usual: before, shifted: after, delays };
}

/** At which audit it alarms where the rate changes after so many. */
function alarmAfter(change: number, [before, after]: readonly [number, number], random: () => number): number {
  let audit = startAudit();
  while (audit.audits < MOST) {
    audit = audited(TERMS, audit, random() >= (audit.audits < change ? before : after));
    if (audit.alarmAt !== null) return audit.alarmAt;
  }
  return Number.POSITIVE_INFINITY;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

export const shiftTable = (name: string, { usual, shifted, delays }: ShiftFigure): string =>
  `${name}: ${percent(usual.accepted)} of the usual documents accepted, of which ${percent(usual.disagreeing)} disagree; ` +
  `${percent(shifted.accepted)} of the others, of which ${percent(shifted.disagreeing)} do\n${delays
    .map(
      ({ before, median, most, tooEarly }) =>
        `  after ${String(before).padStart(5)} audits of usual documents: ${median ?? '–'} audits until the alarm in the ` +
        `median, ${most ?? '–'} in nine of ten runs; ${percent(tooEarly)} alarm before\n`,
    )
    .join('')}`;
