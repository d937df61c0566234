import { nearestName } from '@spillway/core';
import type { z } from 'zod';
import { badRequest, shown } from '../errors.ts';

/**
 * Refuses a key of an address that looks like one by which nothing is made: whoever misspells it would get a batch, and
 * pay for it; also one that does that `elsewhere`. Other keys are ignored, as everywhere.
 */
export function refuseMisspelt(
  given: object,
  query: z.ZodObject,
  { key, elsewhere = [] }: { readonly key: string; readonly elsewhere?: readonly string[] },
): void {
  const found = Object.keys(given).find(
    (one) => !Object.hasOwn(query.shape, one) && nearestName(one, [key, ...elsewhere]) !== null,
  );
  if (found === undefined) return;
  const message = `Unknown key '${shown(found)}' in the address. Did you mean '${key}'?`;
  throw badRequest(message, { param: shown(found), code: 'unknown_parameter' });
}
