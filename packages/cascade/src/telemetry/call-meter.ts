import type { Meters } from '@spillway/runtime';
import type { ModelCallFacts } from '../asked.ts';

/** Measures each call of a model. */
export const callMeter =
  (meters: Meters) =>
  ({ tier, role, model, ms, error }: ModelCallFacts): void =>
    meters.time('gen_ai.client.operation.duration', ms / 1000, {
      'gen_ai.request.model': model,
      tier,
      role,
      ...(error === null ? {} : { 'error.type': error }),
    });
