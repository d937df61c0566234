import { z } from 'zod';

const plain = <const Name extends string>(name: Name) => z.strictObject({ name: z.literal(name) });

/** A signal with its parameters, as it is frozen into a batch and named in a calibration. */
export const signalSpec = z.discriminatedUnion('name', [
  plain('mean_logprob'),
  plain('sum_logprob'),
  plain('min_logprob'),
  z.strictObject({ name: z.literal('quantile_logprob'), alpha: z.number().min(0).max(1).default(0.1) }),
  z.strictObject({ name: z.literal('margin'), over: z.enum(['mean', 'min']).default('min') }),
  plain('entropy'),
  z.strictObject({ name: z.literal('label'), answers: z.array(z.string().min(1)).min(2).max(64) }),
  plain('self_assessment'),
  z.strictObject({
    name: z.literal('agreement'),
    samples: z.int().min(2).max(20).default(5),
    temperature: z.number().min(0).max(2).default(0.7),
  }),
  plain('head'),
]);

export type SignalSpec = z.output<typeof signalSpec>;
export type SignalName = SignalSpec['name'];

/** The same signal with the same parameters. */
export const sameSignal = (left: SignalSpec, right: SignalSpec): boolean =>
  JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));

const sorted = (spec: SignalSpec): unknown =>
  Object.entries(spec).toSorted(([left], [right]) => (left < right ? -1 : 1));
