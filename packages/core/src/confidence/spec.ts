import { z } from 'zod';
import type { Signal } from './signal.ts';
import { SIGNALS, type SignalName } from './signals.ts';

type Schema = (typeof SIGNALS)[SignalName]['spec'];

/** A signal with its parameters, as it is frozen into a batch and named in a calibration. */
export const signalSpec = z.discriminatedUnion(
  'name',
  Object.values(SIGNALS).map(({ spec }): Schema => spec) as [Schema, ...Schema[]],
);

export type SignalSpec = z.output<typeof signalSpec>;

/** The table's entry for a signal; its name has picked the entry, so the entry's score takes these parameters. */
export const signalOf = ({ name }: SignalSpec): Signal => SIGNALS[name];

/** The same signal with the same parameters. */
export const sameSignal = (left: SignalSpec, right: SignalSpec): boolean =>
  JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));

const sorted = (spec: SignalSpec): unknown =>
  Object.entries(spec).toSorted(([left], [right]) => (left < right ? -1 : 1));
