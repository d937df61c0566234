import { bootstrapInterval, seededRandom } from '@spillway/core';

/** A measure with its 95 % interval; null: it cannot be taken of these documents. */
export type Measure = { readonly value: number | null; readonly interval: readonly [number, number] | null };

export const NOTHING: Measure = { value: null, interval: null };

const BOOTSTRAPS = 200;

/** A measure with its bootstrap interval, which is the same for the same documents. */
export const measured = <One>(rows: readonly One[], measure: (sample: readonly One[]) => number | null): Measure => ({
  value: measure(rows),
  interval: bootstrapInterval(rows, measure, { random: seededRandom(1), samples: BOOTSTRAPS }),
});
