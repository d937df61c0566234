import { shareInterval } from '../calibration/interval.ts';
import type { Expected } from '../progress/time-left.ts';

/** A document that was drawn: what it stands for, and whether it is one of those whose share is asked for. */
export type Marked = { readonly weight: number; readonly isMarked: boolean };

const LEVEL = 0.9;

/**
 * The share of documents that are marked. The range is the exact one of a share (Clopper and Pearson) of as many documents
 * as these are worth, which is fewer the more their weights differ (Korn and Graubard 1998, with Kish's number).
 */
export function shareOf(drawn: readonly Marked[], of: number): Expected {
  let [sum, squares, marked] = [0, 0, 0];
  for (const { weight, isMarked } of drawn) {
    sum += weight;
    squares += weight * weight;
    if (isMarked) marked += weight;
  }
  if (!(sum > 0)) return { low: 0, likely: 0.5, high: 1 };
  const likely = Math.min(1, marked / sum);
  const each = (sum * sum) / squares;
  const worth = 1 / (1 / each + 1 / of);
  const total = Math.max(1, Math.floor(worth + 1e-6));
  const count = Math.min(total, likely * worth);
  const [low] = shareInterval(Math.floor(count + 1e-6), total, LEVEL);
  const [, high] = shareInterval(Math.min(total, Math.ceil(count - 1e-6)), total, LEVEL);
  return { low: Math.min(low, likely), likely, high: Math.max(high, likely) };
}
