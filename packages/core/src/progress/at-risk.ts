import { askedTotal, type ProgressNote } from './notes.ts';
import { timeLeft } from './time-left.ts';

/** When a batch was made, and when its window is over. */
export type Window = { readonly createdAtMs: number; readonly expiresAtMs: number };

/** A batch of which nothing was settled in this part of its window will hardly be done in the rest. */
const IDLE_SHARE = 0.5;

/**
 * Whether the window of a batch will probably be missed: even the short end of what is expected lies beyond it. Null
 * while there is nothing to judge by.
 */
export function isAtRisk(
  notes: readonly ProgressNote[],
  batch: Window & { readonly total: number; readonly copies?: number; readonly settled: number },
  nowMs: number,
): boolean | null {
  const { settled, createdAtMs, expiresAtMs } = batch;
  const expected = timeLeft(notes, askedTotal(batch, notes));
  const last = notes.at(-1);
  if (expected !== null && last !== undefined) return last.atMs + expected.low > expiresAtMs;
  const isIdle = settled === 0 && nowMs - createdAtMs >= IDLE_SHARE * (expiresAtMs - createdAtMs);
  return isIdle ? true : null;
}
