import { maxNanoUsd } from '../accounting/cap.ts';
import type { Counts } from '../accounting/counts.ts';
import { auditNanoUsd, type Audits } from '../audit/ledger.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { isAtRisk, type Window } from './at-risk.ts';
import { byExpertsSoFar, moneyInTheEnd, spentSoFar } from './money.ts';
import { askedTotal, type ProgressNote } from './notes.ts';
import { timeLeft } from './time-left.ts';

/** The rate that is shown is that of the latest minute, or of the latest eighth of the time where that is longer. */
const MIN_RATE_MS = 60_000;
const RATE_PARTS = 8;

/** Notes that are older than two of their spacings say nothing of now: nobody takes any, or the batch stands in line. */
const MIN_OLD_MS = 60_000;

type Range = { readonly low: number; readonly high: number };

/** How far a batch is, as the API shows it. */
export type ShownProgress = {
  readonly elapsed_seconds: number | null;
  readonly documents_per_second: number | null;
  readonly left_seconds: Range | null;
  readonly at_risk: boolean | null;
  readonly spent_usd: number | null;
  readonly all_expert_usd: number | null;
  readonly projected_usd: Range | null;
};

/** A batch in work, as far as it is known. */
export type BatchInWork = Window & {
  readonly total: number;
  /** Of them, those that are answered from an equal one; absent: none. */
  readonly copies?: number;
  readonly counts: Counts;
  /** Absent: there are none. */
  readonly audits?: Audits | undefined;
  readonly cascades: Readonly<Record<string, CascadeRules>>;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly notes: readonly ProgressNote[];
  readonly inProgressAtMs: number | null;
};

/** A batch that takes no more results. */
export type BatchDone = Pick<BatchInWork, 'counts' | 'audits' | 'cascades' | 'inProgressAtMs'> & {
  readonly endedAtMs: number | null;
};

const rounded = (rate: number): number => Number(rate.toPrecision(3));

/** How far an open batch is: what it has done, and what is expected of the rest in nine of ten cases. */
export function progressOf(batch: BatchInWork, nowMs: number): ShownProgress {
  const { counts, cascades, metadata, inProgressAtMs, expiresAtMs } = batch;
  const settled = counts.completed + counts.failed;
  const notes = isCurrent(batch.notes, nowMs) ? batch.notes : [];
  const total = askedTotal(batch, notes);
  const audited = auditNanoUsd(batch.audits ?? {});
  const spent = spentSoFar(counts, cascades, audited);
  const money = moneyInTheEnd(notes, { total, counts, cascades, audited });
  const cap = maxNanoUsd(metadata);
  // At its cap a batch ends.
  const mostNanoUsd = Math.max(spent ?? 0, typeof cap === 'number' ? cap : Number.POSITIVE_INFINITY);
  const shareUntilCap = (nanoUsd: number | undefined): number =>
    nanoUsd === undefined || nanoUsd <= mostNanoUsd ? 1 : (mostNanoUsd - (spent ?? 0)) / (nanoUsd - (spent ?? 0));
  const shares = { low: shareUntilCap(money?.high), high: shareUntilCap(money?.low) };
  const usd = (nanoUsd: number): number => Number((Math.min(nanoUsd, mostNanoUsd) / 1e9).toPrecision(4));
  return {
    elapsed_seconds: elapsedSeconds(inProgressAtMs, nowMs),
    documents_per_second: latestRate(batch, settled, nowMs),
    left_seconds: leftSeconds(notes, { total, leftMs: expiresAtMs - nowMs, shares }, nowMs),
    at_risk: isAtRisk(notes, { ...batch, settled }, nowMs),
    spent_usd: spent === null ? null : spent / 1e9,
    all_expert_usd: allExpertUsd(counts, cascades),
    projected_usd: money === null ? null : { low: usd(money.low), high: usd(money.high) },
  };
}

/** How far a batch came that takes no more results. */
export function progressInTheEnd({
  counts,
  audits = {},
  cascades,
  inProgressAtMs,
  endedAtMs,
}: BatchDone): ShownProgress {
  const elapsedMs = inProgressAtMs === null || endedAtMs === null ? 0 : endedAtMs - inProgressAtMs;
  const spent = spentSoFar(counts, cascades, auditNanoUsd(audits));
  return {
    elapsed_seconds: endedAtMs === null ? null : elapsedSeconds(inProgressAtMs, endedAtMs),
    documents_per_second: elapsedMs > 0 ? rounded(((counts.completed + counts.failed) * 1000) / elapsedMs) : null,
    left_seconds: null,
    at_risk: null,
    spent_usd: spent === null ? null : spent / 1e9,
    all_expert_usd: allExpertUsd(counts, cascades),
    projected_usd: null,
  };
}

/** Of a batch that nobody has begun to work on nothing is known. */
export const NO_PROGRESS: ShownProgress = {
  elapsed_seconds: null,
  documents_per_second: null,
  left_seconds: null,
  at_risk: null,
  spent_usd: null,
  all_expert_usd: null,
  projected_usd: null,
};

function allExpertUsd(counts: Counts, cascades: BatchInWork['cascades']): number | null {
  const nanoUsd = byExpertsSoFar(counts, cascades);
  return nanoUsd === null ? null : nanoUsd / 1e9;
}

const elapsedSeconds = (fromMs: number | null, toMs: number): number | null =>
  fromMs === null ? null : Math.max(0, Math.round((toMs - fromMs) / 1000));

/** Whether the notes say how a batch is now. */
function isCurrent(notes: readonly ProgressNote[], nowMs: number): boolean {
  const [first, last] = [notes[0], notes.at(-1)];
  if (first === undefined || last === undefined) return false;
  return nowMs - last.atMs <= Math.max(MIN_OLD_MS, (last.atMs - first.atMs) / RATE_PARTS);
}

/** Documents that were settled a second lately; null: there is nothing to count from yet. */
function latestRate({ notes, inProgressAtMs }: BatchInWork, settled: number, nowMs: number): number | null {
  const first = notes[0];
  const since = Math.max(MIN_RATE_MS, first === undefined ? 0 : (nowMs - first.atMs) / RATE_PARTS);
  const from = notes.findLast(({ atMs }) => atMs <= nowMs - since) ?? first;
  if (from === undefined || inProgressAtMs === null || nowMs - from.atMs < 1_000) return null;
  return rounded((Math.max(0, settled - from.settled) * 1000) / (nowMs - from.atMs));
}

/** What was expected when the last note was taken, as of now. */
function leftSeconds(
  notes: readonly ProgressNote[],
  { total, leftMs, shares }: { readonly total: number; readonly leftMs: number; readonly shares: Range },
  nowMs: number,
): ShownProgress['left_seconds'] {
  const expected = timeLeft(notes, total);
  if (expected === null) return null;
  // What stands still may go on at any moment.
  const lowMs = Math.min(expected.low, expected.atBest);
  const sinceMs = nowMs - (notes.at(-1)?.atMs ?? nowMs);
  // What went by since brought nobody nearer to the end where nothing moves: the long end stays. No batch outlasts its window.
  const within = (ms: number): number => Math.max(0, Math.min(ms, leftMs)) / 1000;
  return {
    low: Math.floor(within((lowMs - sinceMs) * shares.low)),
    high: Math.ceil(within(expected.high * shares.high)),
  };
}
