import type { Meters } from '@spillway/runtime';
import type { TierCall } from './tier.ts';

/** Measures each call of a model. */
export const callMeter =
  (meters: Meters) =>
  ({ role, model, ms, error }: TierCall): void =>
    meters.time('gen_ai.client.operation.duration', ms / 1000, {
      'gen_ai.request.model': model,
      'cascade.tier': role,
      ...(error === null ? {} : { 'error.type': error }),
    });
