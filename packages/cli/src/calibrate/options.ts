import { parseArgs } from 'node:util';
import { FITTED, pointerTokens, signalSpec, type FittedMethod, type SignalSpec } from '@spillway/core';
import { UserError } from '../client.ts';
import type { WishedFor } from './thresholds.ts';

export type CalibrateOptions = {
  /** Null: that of `from`. */
  readonly batch: string | null;
  /** Null: by agreement with the expert. */
  readonly labels: string | null;
  /** How many documents are drawn and answered by every stage; null: none. */
  readonly sample: number | null;
  /** The batch of a sample that was drawn before; null: there is none. */
  readonly from: string | null;
  readonly seed: number;
  readonly cascade: string | null;
  /** The stage whose drafts are calibrated, from 1. */
  readonly stage: number;
  /** A value of JSON answers, by JSON pointer, as the configuration names it in `fields`; null: the answers as wholes. */
  readonly field: string | null;
  /** Null: the stage's own. */
  readonly signal: SignalSpec | null;
  readonly method: FittedMethod | 'auto';
  readonly wish: WishedFor | null;
  /** Null: named after the cascade and, of a later stage, its model. */
  readonly out: string | null;
};

/** All of its command line. */
export const USAGE = `npm run calibrate -- --batch ID [--sample N] [--labels FILE] | --from SAMPLE [--labels FILE]
    (at least one of --sample, --from and --labels) [--cascade NAME] [--stage N] [--field POINTER]
    [--signal NAME or JSON] [--method auto|${FITTED.join('|')}] [--accuracy SHARE | --expert-share SHARE] [--out FILE] [--seed N]`;

const KNOWN = {
  batch: { type: 'string' },
  labels: { type: 'string' },
  sample: { type: 'string' },
  from: { type: 'string' },
  seed: { type: 'string' },
  cascade: { type: 'string' },
  stage: { type: 'string' },
  field: { type: 'string' },
  signal: { type: 'string' },
  method: { type: 'string' },
  accuracy: { type: 'string' },
  'expert-share': { type: 'string' },
  out: { type: 'string' },
} as const;

/** Reads the command line; throws a UserError that says what was expected. */
export function readOptions(args: readonly string[]): CalibrateOptions {
  const { labels, sample, seed, cascade, stage, signal, method = 'auto', accuracy, out, ...rest } = parsed(args);
  const { batch, from, field, 'expert-share': expertShare } = rest;
  const isNamed = from !== undefined || (batch !== undefined && (labels !== undefined || sample !== undefined));
  if (!isNamed) throw new UserError(USAGE);
  if (from !== undefined && sample !== undefined)
    throw new UserError('expected at most one of --sample, which draws documents, and --from, which names a sample');
  if (accuracy !== undefined && expertShare !== undefined)
    throw new UserError('expected at most one of --accuracy and --expert-share');
  if (field !== undefined && pointerTokens(field) === null)
    throw new UserError(`--field: expected a JSON pointer such as /total, got "${field}"`);
  if (method !== 'auto' && !(FITTED as readonly string[]).includes(method)) {
    throw new UserError(`--method: expected auto, ${FITTED.join(', ')}, got "${method}"`);
  }
  const wish =
    accuracy !== undefined
      ? { accuracy: share('accuracy', accuracy) }
      : expertShare !== undefined
        ? { expertShare: share('expert-share', expertShare) }
        : null;
  return {
    batch: batch ?? null,
    labels: labels ?? null,
    sample: sample === undefined ? null : whole('sample', sample),
    from: from ?? null,
    seed: seed === undefined ? 1 : whole('seed', seed),
    cascade: cascade ?? null,
    stage: stage === undefined ? 1 : whole('stage', stage),
    field: field ?? null,
    signal: signal === undefined ? null : readSignal(signal),
    method: method as FittedMethod | 'auto',
    wish,
    out: out ?? null,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: KNOWN }).values;
  } catch (error) {
    throw new UserError(`${(error as Error).message}\n${USAGE}`);
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1_000_000) return value;
  throw new UserError(`--${name}: expected a whole number from 1 to 1000000, got "${text}"`);
}

function share(name: string, text: string): number {
  const value = Number(text);
  if (text !== '' && value >= 0 && value <= 1) return value;
  throw new UserError(`--${name}: expected a share from 0 to 1, got "${text}"`);
}

/** A signal by its name, or with its parameters as JSON. */
function readSignal(text: string): SignalSpec {
  let given: unknown = { name: text };
  if (text.startsWith('{')) {
    try {
      given = JSON.parse(text);
    } catch {
      throw new UserError(
        `--signal: expected a name or JSON such as {"name":"quantile_logprob","alpha":0.1}, got "${text}"`,
      );
    }
  }
  const read = signalSpec.safeParse(given);
  if (read.success) return read.data;
  throw new UserError(
    `--signal: ${read.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; ')}`,
  );
}

/** The same command line with a sample that was drawn by it, so that nothing is drawn again. */
export function resumed(args: readonly string[], sample: string): string {
  const at = args.indexOf('--sample');
  const rest = args.filter((one, place) => !one.startsWith('--sample') && (at === -1 || place !== at + 1));
  return ['npm run calibrate --', `--from ${sample}`, ...rest.map(shellWord)].join(' ');
}

const shellWord = (word: string): string =>
  /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
