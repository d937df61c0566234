import { LIMITS } from '../limits.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { SLICE_ITEMS, type Sliced } from '../text/slices.ts';

export type TopLogprob = { readonly token: string; readonly logprob: number };

export type TokenLogprob = {
  readonly token: string;
  readonly bytes: readonly number[] | null;
  readonly logprob: number;
  readonly top: readonly TopLogprob[];
};

/** What vLLM writes for −∞. Also stands for whatever cannot be read, so that rubbish only makes a draft less sure. */
const FLOOR = -9999;

/** Log-probs are computed in 16 or 32 bits, so a certain token may come out a little above 0. */
const ROUNDING = 1e-3;

const NO_TOP: readonly TopLogprob[] = [];

/** More alternatives of a token than this count as not listed; nobody asks for as many. */
const MAX_ALTERNATIVES = 256;

/** The tokens of a list of log-probs, each at its place in it. */
export type ListedTokens =
  | { readonly kind: 'listed'; readonly tokens: readonly TokenLogprob[] }
  /** There are none, or not one of them is a number. */
  | { readonly kind: 'none' }
  /** There are more, with their alternatives, than are looked at. */
  | { readonly kind: 'too_many' };

const NONE: ListedTokens = { kind: 'none' };

/**
 * Reads both shapes of log-probs: `content: [{token, bytes, logprob, top_logprobs}]` and the older parallel arrays
 * `tokens`, `token_logprobs`, `top_logprobs`. Tokens without
 * characters behind all others are end marks (llama.cpp counts its own) and are left out; before others they are a part
 * of a character that is not whole yet, as vLLM writes it, and no surer than any other.
 */
export function* readTokens(logprobs: Json | undefined): Sliced<ListedTokens> {
  if (!isJsonObject(logprobs)) return NONE;
  const entries = contentEntries(logprobs) ?? parallelEntries(logprobs);
  if (entries === null) return NONE;
  const tokens: TokenLogprob[] = [];
  let [readable, listed] = [0, 0];
  const end = entries.findLastIndex((entry) => !isJsonObject(entry) || entry['token'] !== '' || hasBytes(entry)) + 1;
  for (const [at, entry] of entries.slice(0, end).entries()) {
    if (at % SLICE_ITEMS === SLICE_ITEMS - 1) yield;
    const token = isJsonObject(entry) ? entry['token'] : undefined;
    if (!isJsonObject(entry) || typeof token !== 'string') return NONE;
    const bytes = readBytes(entry['bytes']);
    const logprob = readLogprob(entry['logprob']);
    if (logprob !== null) readable += 1;
    const top = readTop(entry['top_logprobs']);
    listed += 1 + top.length;
    if (listed > LIMITS.judgedLogprobs) return { kind: 'too_many' };
    tokens.push({ token, bytes, logprob: logprob ?? FLOOR, top });
  }
  return readable === 0 ? NONE : { kind: 'listed', tokens };
}

/** Which entries of some log-probs are kept, and how many characters were cut off the text that they are of. */
type Slice = { readonly first: number; readonly end: number; readonly cut: number };

/** Log-probs of either shape with only some of their entries; the older one says where in the text each token is. */
export function sliceLogprobs(logprobs: JsonObject, { first, end, cut }: Slice): JsonObject {
  const length = (contentEntries(logprobs) ?? parallelEntries(logprobs) ?? []).length;
  return Object.fromEntries(
    Object.entries(logprobs).map(([key, list]): [string, Json] => {
      if (!Array.isArray(list) || list.length !== length) return [key, list];
      const kept = list.slice(first, end) as readonly Json[];
      return [key, key === 'text_offset' ? offsetsOf(kept, list[0], cut) : kept];
    }),
  );
}

/** A token that begins in what was cut off is where the text begins now: servers count from its prompt's end or from 0. */
function offsetsOf(offsets: readonly Json[], start: Json | undefined, cut: number): readonly Json[] {
  const least = typeof start === 'number' ? start : 0;
  return offsets.map((offset) => (typeof offset === 'number' ? Math.max(least, offset - cut) : offset));
}

const hasBytes = (entry: JsonObject): boolean => (readBytes(entry['bytes']) ?? []).length > 0;

function contentEntries(logprobs: JsonObject): readonly Json[] | null {
  const content = logprobs['content'];
  return Array.isArray(content) && content.length > 0 ? content : null;
}

function parallelEntries(logprobs: JsonObject): readonly Json[] | null {
  const tokens = logprobs['tokens'];
  const values = logprobs['token_logprobs'];
  const tops = logprobs['top_logprobs'];
  if (!Array.isArray(tokens) || !Array.isArray(values) || tokens.length !== values.length) return null;
  if (tokens.length === 0) return null;
  return tokens.map((token: Json, at: number) => ({
    token,
    logprob: values[at] ?? null,
    top_logprobs: Array.isArray(tops) ? (tops[at] ?? null) : null,
  }));
}

/** A number, or one written as a string; null for what is neither. −∞ comes as null or as a string and is the floor. */
export function readLogprob(value: Json | undefined): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number) || number > ROUNDING) return null;
  return Math.min(0, Math.max(FLOOR, number));
}

/** Alternatives come as a list of objects, or in the older shape as an object from token to log-prob. */
function readTop(value: Json | undefined): readonly TopLogprob[] {
  if (value === undefined || value === null) return NO_TOP;
  const pairs: (readonly [Json | undefined, Json | undefined])[] = Array.isArray(value)
    ? value.map((one: Json) =>
        isJsonObject(one) ? ([one['token'], one['logprob']] as const) : ([null, null] as const),
      )
    : isJsonObject(value)
      ? Object.entries(value)
      : [];
  return pairs.slice(0, MAX_ALTERNATIVES).flatMap(([token, given]) => {
    const logprob = readLogprob(given);
    return typeof token === 'string' && logprob !== null ? [{ token, logprob }] : [];
  });
}

function readBytes(value: Json | undefined): readonly number[] | null {
  if (!Array.isArray(value)) return null;
  const isByte = (one: Json) => typeof one === 'number' && Number.isInteger(one) && one >= 0 && one <= 255;
  return value.every(isByte) ? (value as readonly number[]) : null;
}
