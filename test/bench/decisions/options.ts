import { parseArgs } from 'node:util';

/** Options that cannot be; the message names the one and what was expected. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

export type Options = {
  /** A table and a pair of it; null: the embedded pair. */
  readonly source: {
    readonly data: string;
    /** Of the same pair: the documents that come later, for `--audit`. */
    readonly shifted: string | null;
    readonly drafter: string;
    readonly expert: string;
  } | null;
  readonly score: string | null;
  readonly sample: number;
  readonly sizes: readonly number[];
  readonly agreements: readonly number[];
  readonly deltas: readonly number[];
  readonly batches: number;
  readonly seed: number;
  readonly isJson: boolean;
  /** Measure the audit in place of the promise. */
  readonly isAudit: boolean;
};

const DEFAULTS = {
  sample: '500',
  sizes: '2000,9500',
  agreements: '0.9,0.95,0.98',
  deltas: '0.05,0.1',
  batches: '2000',
  seed: '1',
} as const;

/** A batch of the bench is kept as numbers of two bytes for each document of the table. */
const MAX_SIZE = 1_000_000;

export function readOptions(args: readonly string[]): Options {
  const values = valuesOf(args);
  const { data, drafter, expert, shifted = null } = values;
  if (data === undefined && (drafter !== undefined || expert !== undefined)) {
    throw new OptionError('--drafter and --expert need --data FILE');
  }
  if (data !== undefined && (drafter === undefined || expert === undefined)) {
    throw new OptionError('--data needs --drafter NAME and --expert NAME');
  }
  if (data !== undefined && values.audit !== (shifted !== null)) {
    throw new OptionError('--audit with --data FILE needs --shifted FILE, and the other way round');
  }
  if (data === undefined && shifted !== null) throw new OptionError('--shifted needs --data FILE');
  return {
    source: data === undefined ? null : { data, shifted, drafter: drafter ?? '', expert: expert ?? '' },
    score: values.score ?? null,
    sample: whole('sample', values.sample, 1, MAX_SIZE),
    sizes: listOf('sizes', values.sizes, (text) => whole('sizes', text, 1, MAX_SIZE)),
    agreements: listOf('agreements', values.agreements, (text) => share('agreements', text)),
    deltas: listOf('deltas', values.deltas, (text) => share('deltas', text)),
    batches: whole('batches', values.batches, 1, 10_000_000),
    seed: whole('seed', values.seed, 0, 2 ** 32 - 1),
    isJson: values.json,
    isAudit: values.audit,
  };
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        data: { type: 'string' },
        shifted: { type: 'string' },
        drafter: { type: 'string' },
        expert: { type: 'string' },
        score: { type: 'string' },
        sample: { type: 'string', default: DEFAULTS.sample },
        sizes: { type: 'string', default: DEFAULTS.sizes },
        agreements: { type: 'string', default: DEFAULTS.agreements },
        deltas: { type: 'string', default: DEFAULTS.deltas },
        batches: { type: 'string', default: DEFAULTS.batches },
        seed: { type: 'string', default: DEFAULTS.seed },
        json: { type: 'boolean', default: false },
        audit: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new OptionError((error as Error).message, { cause: error });
  }
}

const listOf = (name: string, text: string, read: (text: string) => number): number[] => {
  const values = text.split(',').map((one) => read(one.trim()));
  if (new Set(values).size < values.length) throw new OptionError(`--${name}: a value stands there twice in "${text}"`);
  return values;
};

function whole(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new OptionError(`--${name}: expected a whole number from ${least} to ${most}, got "${text}"`);
}

function share(name: string, text: string): number {
  const value = /^(?:\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value < 1) return value;
  throw new OptionError(`--${name}: expected a share between 0 and 1, got "${text}"`);
}
