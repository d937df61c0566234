import { nearestName } from '../text/nearest.ts';
import { THRESHOLD_KEYS } from './threshold-setting.ts';

/** The key of a batch's metadata that runs every stage on every document, to calibrate by what comes of it. */
export const SHADOW_KEY = 'spillway.shadow';

/** The key that says what a batch may cost, in US dollars. */
export const MAX_USD_KEY = 'spillway.max_usd';

/** The key that says where lines go that are no requests. */
export const ON_BAD_LINES_KEY = 'spillway.on_bad_lines';

/** The key that says whether equal documents are asked about once. */
export const DEDUPLICATE_KEY = 'spillway.deduplicate';

/** The key that names the batch whose failed requests a batch holds. */
export const RETRY_OF_KEY = 'spillway.retry_of';

/** The key that names the batch whose documents a sample was drawn from. */
export const SAMPLE_OF_KEY = 'spillway.sample_of';

/** Whether a batch is a shadow run; `invalid` for a value that says neither. */
export function runsShadow(metadata: Readonly<Record<string, string>> | null): boolean | 'invalid' {
  const text = metadata?.[SHADOW_KEY];
  if (text === undefined || text === 'false') return false;
  return text === 'true' ? true : 'invalid';
}

/**
 * Whether equal documents of a batch are asked about once, where their answers are the same; `invalid` for a value that
 * says neither. Of a shadow run each document is to be judged by itself.
 */
export function wantsDeduplicated(metadata: Readonly<Record<string, string>> | null): boolean | 'invalid' {
  const text = metadata?.[DEDUPLICATE_KEY] ?? 'true';
  if (text !== 'true' && text !== 'false') return 'invalid';
  return text === 'true' && runsShadow(metadata) === false;
}

/** Where bad lines go: they fail the batch, or each is a line of its error file. */
export const BAD_LINES_TO = ['fail', 'error_file'] as const;

/** What is done with bad lines; `invalid` for a value that says neither. */
export function onBadLines(
  metadata: Readonly<Record<string, string>> | null,
): (typeof BAD_LINES_TO)[number] | 'invalid' {
  const text = metadata?.[ON_BAD_LINES_KEY] ?? 'fail';
  return BAD_LINES_TO.find((known) => known === text) ?? 'invalid';
}

/** The key that names the batch whose documents are decided anew. */
export const REDECIDED_FROM_KEY = 'spillway.redecided_from';

/** The settings that a client may give with a batch: every key here is read by somebody. */
const SETTINGS: readonly string[] = [MAX_USD_KEY, SHADOW_KEY, ON_BAD_LINES_KEY, DEDUPLICATE_KEY, ...THRESHOLD_KEYS];

/** The service's own labels: they come with batches that it makes of others, and do not count as the client's. */
export const OWN_LABELS: readonly string[] = [RETRY_OF_KEY, SAMPLE_OF_KEY, REDECIDED_FROM_KEY];

/** What only the service gives meaning to, however it is spelled. */
const RESERVED = /^\s*spillway\s*\./i;

/** A key under `spillway.` that means nothing: a setting that is misspelled, or of another version. */
export type UnknownSetting = {
  readonly key: string;
  /** The known one that it looks like. */
  readonly meant: string | null;
  readonly known: readonly string[];
};

/** The first key of a batch's metadata that would be a setting and is none; null where there is no such key. */
export function unknownSetting(metadata: Readonly<Record<string, string>> | null): UnknownSetting | null {
  const known = [...SETTINGS, ...OWN_LABELS];
  const key = Object.keys(metadata ?? {}).find((one) => RESERVED.test(one) && !known.includes(one));
  return key === undefined ? null : { key, meant: nearestName(key, known), known: SETTINGS };
}

/** How many of a batch's labels are the client's own. */
export const clientLabels = (metadata: object): number =>
  Object.keys(metadata).filter((key) => !OWN_LABELS.includes(key)).length;
