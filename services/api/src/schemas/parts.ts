import {
  clientLabels,
  ENDPOINT_URLS,
  LIMITS,
  MAX_USD_KEY,
  ON_BAD_LINES_KEY,
  OWN_LABELS,
  RETRY_OF_KEY,
  SAMPLE_OF_KEY,
  SHADOW_KEY,
  windowMs,
} from '@spillway/core';
import { z } from 'zod';
import { characters } from './read.ts';

/** Text of at most so many characters, counted as the hosted API does. */
export const text = (most: number) =>
  z
    .string()
    .check((context) => {
      const { value } = context;
      // A character is two units at most, so that of a long text none need be counted.
      if (value.length <= 2 * most && characters(value) <= most) return;
      context.issues.push({ code: 'too_big', origin: 'string', maximum: most, inclusive: true, input: value });
    })
    .meta({ maxLength: most });

/** Each choice of the service's own labels: so many keys more may there be. */
const ownLabels = Array.from({ length: 2 ** OWN_LABELS.length }, (_, choice) =>
  OWN_LABELS.filter((_label, at) => Math.floor(choice / 2 ** at) % 2 === 1),
);

/** What a label says. */
export const label = text(LIMITS.metadataValueCharacters);

export const metadata = z
  .record(text(LIMITS.metadataKeyCharacters), label)
  .check((context) => {
    const { value } = context;
    if (clientLabels(value) <= LIMITS.metadataKeys) return;
    context.issues.push({
      code: 'too_big',
      origin: 'object',
      maximum: LIMITS.metadataKeys,
      inclusive: true,
      input: value,
    });
  })
  .meta({
    anyOf: ownLabels.map((required) => ({ required, maxProperties: LIMITS.metadataKeys + required.length })),
    description:
      `Labels of the client's own, and settings of a batch: ${MAX_USD_KEY} is what it may cost in US dollars, ` +
      `${SHADOW_KEY} ('true') runs every stage on every document, ${ON_BAD_LINES_KEY} ('error_file') sends lines that ` +
      `are no requests to the error file. Other keys that begin with 'spillway.' are refused, but for the service's ` +
      `own, which do not count towards the limit: ${RETRY_OF_KEY} and ${SAMPLE_OF_KEY} name the batch that the ` +
      'requests were taken from.',
  });

/** When a file goes by itself. */
export const expiresAfter = z.object({
  anchor: z.literal('created_at'),
  seconds: z.int().min(LIMITS.fileExpiryMinSeconds).max(LIMITS.fileExpiryMaxSeconds),
});

export const endpoint = z.enum(ENDPOINT_URLS);

/** The supported windows in words, as an error lists them. */
const WINDOWS = "'24h', or minutes, hours or days from '1m' to '7d', such as '90m', '12h' and '2d'";

export const completionWindow = z
  .string()
  .refine((value) => windowMs(value) !== null, WINDOWS)
  .meta({
    description: WINDOWS,
    example: '24h',
  });

/** A whole number in an address. */
export const limit = (range: { least: number; most: number; fallback: number }) =>
  z
    .preprocess(numberOf, z.int().min(range.least).max(range.most).optional())
    .transform((value) => value ?? range.fallback);

/** An address has text only; an empty one counts as none. A number too long to be exact is only too large. */
export function numberOf(value: unknown): unknown {
  if (value === '') return undefined;
  if (typeof value !== 'string' || !/^[+-]?\d+$/.test(value)) return value;
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
}

const emptyAsNone = (value: unknown): unknown => (value === '' ? undefined : value);

export const purpose = z.preprocess(emptyAsNone, z.string().optional());
export const after = z.preprocess(emptyAsNone, z.string().optional());
export const withRetries = z.preprocess(emptyAsNone, z.enum(['retries']).optional()).meta({
  description: 'A request that failed, and succeeded in a retry of the batch or in a retry of that, has this line.',
});
/** What results may be sent with, in any order. */
const JOINED = ['retries', 'reviews'] as const;
export const joined = z
  .preprocess(
    emptyAsNone,
    z.enum([...JOINED, JOINED.join(','), JOINED.toReversed().join(',')] as [string, ...string[]]).optional(),
  )
  .transform((value = '') => new Set(value.split(',').filter(Boolean)) as ReadonlySet<string>)
  .meta({
    description:
      '`retries`: a request that failed, and succeeded in a retry of the batch or in a retry of that, has this line. ' +
      '`reviews`: lines say in `cascade.review` what somebody said who looked at the answer. Both with a comma between.',
  });
/** As lines have it, where half of a character is written as several. */
export const customId = z.preprocess(emptyAsNone, text(5 * LIMITS.customIdCharacters).optional()).meta({
  description: "Only this one's lines: one at most, but where bad lines that go to the error file have the id, too.",
});
export const order = z.preprocess(emptyAsNone, z.enum(['asc', 'desc']).optional());
