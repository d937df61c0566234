import type { Mix, MixBatch } from './mixes.ts';
import { simulate, type Run } from './simulation.ts';

/** Whether each batch of a run was done within its window. */
export const keptWindows = (mix: Mix, { finishedAtS }: Run): boolean[] =>
  mix.batches.map(({ deadlineS }, index) => (finishedAtS[index] ?? Number.POSITIVE_INFINITY) <= deadlineS);

/**
 * The windows that a schedule keeps which knows everything beforehand: tenants share evenly, and of each the batch whose
 * deadline is earliest goes first, but for those that are given up. Where one misses its window, of the tenant's batches
 * up to that deadline the one with most documents is given up, and all is tried again (Moore and Hodgson's rule), so
 * that as many as possible are kept.
 */
export function clairvoyantWindows(mix: Mix): boolean[] {
  const givenUp = new Set<number>();
  for (;;) {
    const rankOf = (index: number): number => (mix.batches[index]?.deadlineS ?? 0) + (givenUp.has(index) ? 1e9 : 0);
    const kept = keptWindows(mix, simulate(mix, { kind: 'ranks', rankOf }));
    const missed = mix.batches.flatMap((batch, index) => (kept[index] === true || givenUp.has(index) ? [] : [batch]));
    if (missed.length === 0) return kept;
    for (const first of firstOfEach(missed)) {
      const before = mix.batches
        .map((batch, index) => ({ batch, index }))
        .filter(
          ({ batch, index }) =>
            batch.tenant === first.tenant && batch.deadlineS <= first.deadlineS && !givenUp.has(index),
        )
        .toSorted((left, right) => right.batch.documents - left.batch.documents);
      const [most] = before;
      if (most !== undefined) givenUp.add(most.index);
    }
  }
}

/** Of each tenant the batch with the earliest deadline. */
function firstOfEach(batches: readonly MixBatch[]): MixBatch[] {
  const firsts = new Map<string, MixBatch>();
  for (const batch of batches) {
    const first = firsts.get(batch.tenant);
    if (first === undefined || batch.deadlineS < first.deadlineS) firsts.set(batch.tenant, batch);
  }
  return [...firsts.values()];
}
