import { MAX_USD_KEY } from '../batch/metadata.ts';
import { totalOf, type Counts } from './counts.ts';

/** The code of a batch that ended at its cap, and of its unfinished requests. */
export const MAX_USD_REACHED = 'max_usd_reached';

/** What a batch may cost in 10⁻⁹ US dollars; null without a cap, `invalid` for what is no amount above 0. */
export function maxNanoUsd(metadata: Readonly<Record<string, string>> | null): number | null | 'invalid' {
  const text = metadata?.[MAX_USD_KEY];
  if (text === undefined) return null;
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) return 'invalid';
  const nanoUsd = Math.round(Number(text) * 1e9);
  return nanoUsd > 0 ? nanoUsd : 'invalid';
}

/** What the calls that a batch's results count have cost, in 10⁻⁹ US dollars. */
export const spentNanoUsd = (counts: Counts): number => totalOf(counts, 'nanoUsd');

/**
 * Whether a batch has cost what it may; calls that were under way come on top. `besideNanoUsd`: what was spent on it that
 * its results do not count: by its audits, and by its sample, as far as that is not its results yet.
 */
export function isOverCap(
  metadata: Readonly<Record<string, string>> | null,
  counts: Counts,
  besideNanoUsd: number,
): boolean {
  const cap = maxNanoUsd(metadata);
  return typeof cap === 'number' && spentNanoUsd(counts) + besideNanoUsd >= cap;
}
