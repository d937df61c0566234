import { LIMITS } from '@spillway/core';
import type { EnvReader } from './env.ts';

/** What an input file may hold. */
export type InputLimits = { readonly lines: number; readonly lineBytes: number };

/** Read by whoever validates input: the dispatcher, and the API for a dry run. */
export const inputLimits = (reader: EnvReader): InputLimits => ({
  lines: reader.integer('SPILLWAY_MAX_LINES', { fallback: LIMITS.batchLines, min: 1, max: 100_000_000 }),
  lineBytes: reader.integer('SPILLWAY_MAX_LINE_BYTES', {
    fallback: LIMITS.lineBytes,
    min: 1024,
    max: LIMITS.lineBytesMax,
  }),
});
