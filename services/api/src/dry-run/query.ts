import { LIMITS } from '@spillway/core';
import { z } from 'zod';
import { badRequest } from '../errors.ts';
import { refuseMisspelt } from '../schemas/misspelt.ts';
import { numberOf } from '../schemas/parts.ts';

const KEY = 'dry_run';

const emptyAsNone = (value: unknown): unknown => (value === '' ? undefined : value);

/** What a create may be asked in its address. Other keys are ignored, as everywhere, but for misspelt ones. */
export const createQuery = z.object({
  [KEY]: z.preprocess(emptyAsNone, z.enum(['true', 'false']).optional()).meta({
    description: 'true: nothing is made, and the answer says what the batch would be.',
  }),
  pilot: z.preprocess(numberOf, z.int().min(1).max(LIMITS.pilotDocuments).optional()).meta({
    description: 'Of a dry run: so many documents are answered at once, and charged, to estimate the others by.',
  }),
});

/** How many documents the pilot of a dry run has, 0 for none; null: a batch is to be made. */
export function readDryRun(query: z.output<typeof createQuery>, given: object): number | null {
  refuseMisspelt(given, createQuery, { key: KEY });
  if (query[KEY] === 'true') return query.pilot ?? 0;
  if (query.pilot === undefined) return null;
  throw badRequest("'pilot' is a part of a dry run: give 'dry_run=true' with it.", { param: 'pilot' });
}
