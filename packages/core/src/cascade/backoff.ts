/** How waits in a row grow: doubling from the first up to the longest. */
export type Backoff = { readonly firstMs: number; readonly maxMs: number };

/**
 * How long to wait after `failures` in a row, counted from 1. `jitter` is 0 to 1, from the caller, and takes off up to
 * a half, so that many that failed together do not come back at the same moment.
 */
export function backoffMs(failures: number, jitter: number, { firstMs, maxMs }: Backoff): number {
  const doublings = Number.isFinite(failures) ? Math.min(30, Math.max(0, failures - 1)) : 30;
  const fullMs = Math.min(maxMs, firstMs * 2 ** doublings);
  const share = jitter >= 0 && jitter <= 1 ? jitter : 0.5;
  return Math.round(fullMs * (0.5 + share / 2));
}
