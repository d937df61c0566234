import type { AskedFormat } from '../../endpoints/index.ts';
import { hasFields } from '../../confidence/fields.ts';
import { fitsSchema } from '../../confidence/json-schema.ts';
import { LIMITS } from '../../limits.ts';
import { readingJson } from '../../text/json-read.ts';
import { isJsonObject } from '../../text/json.ts';
import { SLICE_CHARACTERS, type Sliced } from '../../text/slices.ts';

/** What an answer is joined of, and what is known of it. */
export type Joining = {
  /** The beginning of the draft that the expert was given. */
  readonly kept: string;
  /** What the expert answered to that. */
  readonly continuation: string;
  /** JSON that the request asks for; null: any text. */
  readonly format: AskedFormat | null;
  /** Where the request wants an answer to stop. */
  readonly stop: readonly string[];
};

export type JoinedAnswer =
  | {
      readonly kind: 'joined';
      readonly text: string;
      /** A stop string ended it: its finish reason is `stop`. */
      readonly isStopped: boolean;
      /** The expert said the kept text once more, so that what it said is the whole answer. */
      readonly isAnew: boolean;
    }
  /** Nobody can prove that both parts are one answer: it must be asked for whole. */
  | { readonly kind: 'no_join'; readonly why: string };

/** Fewer characters of plain text do not show whether a server went on with them or began anew. */
const MIN_KEPT_CHARACTERS = 16;

/** Marks between turns, which servers leave in a text that they did not take for a beginning. */
const MARK = /^\s*(?:<\/?s>|<(?:bos|eos|pad|unk)>|<[|｜][^|｜<>]{1,64}[|｜]>|<(?:start|end)_of_turn>|\[\/?INST\])/;

/** An object, or an array of anything but bare words and numbers: `[1] As Smith says` is no JSON. */
const beginsJson = (text: string): boolean => /^\s*(?:\{\s*(?:["}]|$)|\[\s*(?:[[{"\]]|$))/.test(text);

const noJoin = (why: string): JoinedAnswer => ({ kind: 'no_join', why });

/**
 * Joins the beginning of a draft and what an expert answered to it, which is a continuation, the kept text with its
 * continuation, or an answer that began anew, as servers differ and none is believed.
 *
 * JSON proves itself: behind the beginning of an object or an array no text that is JSON by itself makes JSON, as its
 * brackets come in pairs and those of the beginning do not. So an answer that began anew never joins, whatever it
 * says; nor does prose without brackets and quotes. Of a number, a word or a string nobody knows: digits fit behind digits.
 *
 * In plain text two things cannot be told from the text alone:
 * - a server that begins anew and says other words from the first 16 characters on: its whole answer is put behind the kept
 *   text. Only a server that was seen to continue may be asked, and at temperature 0 an expert that would have chosen each
 *   kept token itself begins anew with just these;
 * - a continuation that repeats the whole kept text: it is taken for the whole answer, which so lacks one repetition.
 */
export function* joinAnswer({ kept, continuation, format, stop }: Joining): Sliced<JoinedAnswer> {
  if (kept.trim() === '') return noJoin('nothing was kept');
  if (MARK.test(continuation)) return noJoin('the continuation begins with a mark between turns');
  const isAnew = continuation.trimStart().startsWith(kept.trimStart());
  const whole = { text: continuation, begin: kept.length + lead(continuation) - lead(kept), isAnew: true };
  const joined = { text: kept + continuation, begin: kept.length, isAnew: false };
  if (format === null && !hasFields(kept)) {
    if (kept.trimStart().length < MIN_KEPT_CHARACTERS) return noJoin('too little was kept to see whether it fits');
    const start = kept.trimStart().slice(0, MIN_KEPT_CHARACTERS);
    if (!isAnew && continuation.trimStart().startsWith(start)) return noJoin('the server began anew, and otherwise');
    return yield* stopped(isAnew ? whole : joined, stop);
  }
  if (!hasFields(kept)) return noJoin('the kept text begins neither an object nor an array');
  for (const one of isAnew ? [whole, joined] : [joined]) {
    const candidate = yield* stopped(one, stop);
    if (yield* fitsFormat(candidate.text, format)) return candidate;
  }
  return noJoin('the joined text is not the JSON that was asked for');
}

/** Whether what follows on a kept text could be joined to it at all. */
export function isWorthContinuing(kept: string, format: AskedFormat | null): boolean {
  if (hasFields(kept)) return format !== null || beginsJson(kept);
  return format === null && kept.trimStart().length >= MIN_KEPT_CHARACTERS;
}

/** Where a text ends by the first of some stop strings in it; null: it has none. */
export function stopIn(text: string, stop: readonly string[]): number | null {
  const places = stop.flatMap((one) => (one === '' ? [] : [text.indexOf(one)])).filter((at) => at !== -1);
  return places.length === 0 ? null : Math.min(...places);
}

/** How many characters of white space a text begins with. */
const lead = (text: string): number => text.length - text.trimStart().length;

type Candidate = { readonly text: string; readonly begin: number; readonly isAnew: boolean };

/** A text that ends at the first stop string which goes on behind the kept text. */
function* stopped(
  { text, begin, isAnew }: Candidate,
  stop: readonly string[],
): Sliced<Extract<JoinedAnswer, { kind: 'joined' }>> {
  const strings = stop.filter((one) => one !== '');
  const longest = strings.reduce((most, one) => Math.max(most, one.length), 1);
  const from = Math.max(0, begin - (longest - 1));
  let end = text.length;
  for (const one of strings) end = yield* placeOf(one, text.slice(0, end + one.length - 1), from, end);
  return { kind: 'joined', text: text.slice(0, end), isStopped: end < text.length, isAnew };
}

/** Where a string first is in a text from a place on, looked for slice by slice; or else what is said. */
function* placeOf(wanted: string, text: string, from: number, otherwise: number): Sliced<number> {
  for (let at = from; at < text.length; at += SLICE_CHARACTERS) {
    yield;
    const found = text.slice(at, at + SLICE_CHARACTERS + wanted.length - 1).indexOf(wanted);
    if (found !== -1) return at + found;
  }
  return otherwise;
}

/** Whether a text is JSON, within what is looked at, and of the format that was asked for. */
export function* fitsFormat(text: string, format: AskedFormat | null): Sliced<boolean> {
  const read = yield* readingJson(text, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues });
  if (read.kind !== 'json') return false;
  if (format?.type === 'json_object') return isJsonObject(read.value);
  return fitsSchema(read.value, format?.schema) === 'fits';
}

/** What is left of a limit of tokens behind what was kept; null: there is no limit. */
export const leftTokens = (limit: number | null, keptTokens: number): number | null =>
  limit === null ? null : Math.max(0, limit - keptTokens);
