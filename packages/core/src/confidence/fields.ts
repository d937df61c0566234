import type { TokenLogprob } from '../endpoints/completion.ts';
import { jsonValues } from './json-values.ts';

/** The tokens that a field's value is made of. */
export type Field = { readonly path: string; readonly tokens: readonly TokenLogprob[] };

/** More fields than this are judged together: a score for each of thousands helps nobody. */
const MAX_FIELDS = 1_000;

/** Whether a text would be a JSON object or array, if it is JSON. */
export const hasFields = (text: string): boolean => /^\s*[[{]/.test(text);

/**
 * The fields of an answer that is a JSON object or array, and was read as such: for each scalar the tokens that overlap its characters. What
 * JSON itself dictates (names, commas, brackets) says nothing about the answer being right, and a schema makes it
 * certain. Null when it has no scalars, or its tokens cannot be laid over its text.
 */
export function fieldsOf(text: string, tokens: readonly TokenLogprob[]): readonly Field[] | null {
  if (tokens.length === 0) return null;
  const bytes = Buffer.from(text.trim());
  const pieces = tokens.map(({ bytes: own, token }) => Buffer.from(own ?? Buffer.from(token)));
  const start = Buffer.concat(pieces).indexOf(bytes);
  const values = jsonValues(bytes);
  if (start === -1 || values.length === 0) return null;
  return overlapping(
    pieces,
    tokens,
    values.map(({ path, from, to }) => ({ path, from: from + start, to: to + start })),
  );
}

/** Where the values of a JSON answer are that have scores of their own, as `fieldsOf` has them; null: it is none. */
export function valuePaths(text: string): readonly string[] | null {
  if (!hasFields(text)) return null;
  const values = jsonValues(Buffer.from(text.trim())).slice(0, MAX_FIELDS);
  return values.map(({ path }) => path);
}

type Placed = { readonly path: string; readonly from: number; readonly to: number };

function overlapping(
  pieces: readonly Buffer[],
  tokens: readonly TokenLogprob[],
  values: readonly Placed[],
): Field[] | null {
  const fields = values.slice(0, MAX_FIELDS).map(({ path }) => ({ path, tokens: [] as TokenLogprob[] }));
  let at = 0;
  let first = 0;
  /** Tokens without characters are the beginning of the one that comes next, and so of the first value that it is of. */
  let begun: TokenLogprob[] = [];
  for (const [index, piece] of pieces.entries()) {
    const token = tokens[index] as TokenLogprob;
    if (piece.length === 0) {
      begun.push(token);
      continue;
    }
    const end = at + piece.length;
    while ((values[first]?.to ?? Number.POSITIVE_INFINITY) <= at) first += 1;
    for (let value = first; (values[value]?.from ?? Number.POSITIVE_INFINITY) < end; value += 1) {
      // The fields beyond the bound count with the last one, and so does a token of several of them, once.
      const own = fields[Math.min(value, fields.length - 1)]?.tokens;
      if (own === undefined || own.at(-1) === token) continue;
      for (const one of begun) own.push(one);
      own.push(token);
      begun = [];
    }
    begun = [];
    at = end;
  }
  return fields.every((field) => field.tokens.length > 0) ? fields : null;
}
