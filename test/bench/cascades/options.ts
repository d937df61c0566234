import { parseArgs } from 'node:util';
import { WORKS, type WorkName } from './work.ts';

/** Where the models are: the embedded pair by itself, or behind servers that take the time of GPUs for it. */
export const PLACES = ['embedded', 'gpu'] as const;
export type Place = (typeof PLACES)[number];

export type Options = {
  readonly work: WorkName;
  readonly documents: number;
  readonly rounds: number;
  /** Which million of the demo's documents the first ones are taken of. */
  readonly seed: number;
  readonly on: readonly Place[];
  /** Names of ways, all of them by default. */
  readonly only: readonly string[] | null;
  /** How many times faster than real ones the GPU-like servers run. */
  readonly speed: number;
  /** Tokens of a GPU-like server for each token of the pair. */
  readonly scale: number;
  readonly json: boolean;
  /** A folder for the figures, the table and the pictures. */
  readonly out: string | null;
};

/** An option that cannot be meant; its message says what was expected. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

/** Reads the command line; throws an `OptionError` for whatever it does not know. */
export function readOptions(args: readonly string[]): Options {
  const values = valuesOf(args);
  const on = values.on.split(',');
  const strange = on.find((one) => !(PLACES as readonly string[]).includes(one));
  if (strange !== undefined) throw new OptionError(`--on: expected ${PLACES.join(' or ')}, got "${strange}"`);
  const work = WORKS.find((one) => one === values.work);
  if (work === undefined) throw new OptionError(`--work: expected ${WORKS.join(' or ')}, got "${values.work}"`);
  return {
    work,
    documents: whole('documents', values.documents, { least: 1, most: 1_000_000 }),
    rounds: whole('rounds', values.rounds, { least: 1, most: 1_000 }),
    seed: whole('seed', values.seed, { least: 0, most: 1_000_000 }),
    on: PLACES.filter((place) => on.includes(place)),
    only: values.only?.split(';').map((name) => name.trim()) ?? null,
    speed: positive('speed', values.speed),
    scale: positive('scale', values.scale),
    json: values.json,
    out: values.out ?? null,
  };
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        work: { type: 'string', default: 'documents' },
        documents: { type: 'string', default: '1000' },
        rounds: { type: 'string', default: '3' },
        seed: { type: 'string', default: '1' },
        on: { type: 'string', default: PLACES.join(',') },
        only: { type: 'string' },
        speed: { type: 'string', default: '1' },
        scale: { type: 'string', default: '11' },
        json: { type: 'boolean', default: false },
        out: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function whole(name: string, text: string, { least, most }: { readonly least: number; readonly most: number }): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new OptionError(`--${name}: expected a whole number from ${least} to ${most}, got "${text}"`);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new OptionError(`--${name}: expected a number above 0, got "${text}"`);
}
