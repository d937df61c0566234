import type { Sliced } from '@spillway/core';

/** What a slice of hostile input may cost at most: far more than the 50 ms that it should, as tests run on busy machines. */
export const MAX_SLICE_CPU_MS = 250;

/**
 * Does sliced work, and says how much processor time its longest slice took: what others do on the machine meanwhile is
 * not in it.
 */
export function measureSlices<Result>(work: Sliced<Result>): {
  readonly result: Result;
  readonly longestCpuMs: number;
} {
  let longestCpuMs = 0;
  for (;;) {
    const before = process.threadCpuUsage();
    const step = work.next();
    const { user, system } = process.threadCpuUsage(before);
    longestCpuMs = Math.max(longestCpuMs, (user + system) / 1000);
    if (step.done === true) return { result: step.value, longestCpuMs };
  }
}
