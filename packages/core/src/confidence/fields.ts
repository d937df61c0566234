import type { TokenLogprob } from '../endpoints/completion.ts';
import { jsonValues } from './json-values.ts';

/** The tokens that a field's value is made of. */
export type Field = { readonly path: string; readonly tokens: readonly TokenLogprob[] };

/** More fields than this are judged together: a score for each of thousands helps nobody. */
const MAX_FIELDS = 1_000;

/**
 * The fields of an answer that is a JSON object or array: for each scalar the tokens that overlap its characters. What
 * JSON itself dictates (names, commas, brackets) says nothing about the answer being right, and a schema makes it
 * certain. Null when the answer is no such JSON, has no scalars, or its tokens cannot be laid over its text.
 */
export function fieldsOf(text: string, tokens: readonly TokenLogprob[]): readonly Field[] | null {
  const trimmed = text.trimStart();
  if (!trimmed.startsWith('{') && !trimmed.startsWith('[')) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const bytes = Buffer.from(text);
  const pieces = tokens.map(({ bytes: own, token }) => Buffer.from(own ?? Buffer.from(token)));
  const start = Buffer.concat(pieces).indexOf(
    bytes
      .subarray(bytes.length - Buffer.byteLength(trimmed))
      .toString()
      .trimEnd(),
  );
  const values = jsonValues(Buffer.from(trimmed));
  if (start === -1 || values.length === 0) return null;
  return overlapping(
    pieces,
    tokens,
    values.map(({ path, from, to }) => ({ path, from: from + start, to: to + start })),
  );
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
  /** Tokens without characters are the beginning of the one that comes next. */
  let begun = 0;
  for (const [index, piece] of pieces.entries()) {
    if (piece.length === 0) continue;
    const end = at + piece.length;
    const own = tokens.slice(begun, index + 1);
    begun = index + 1;
    while ((values[first]?.to ?? Number.POSITIVE_INFINITY) <= at) first += 1;
    for (let value = first; (values[value]?.from ?? Number.POSITIVE_INFINITY) < end; value += 1) {
      // The fields beyond the bound count with the last one.
      fields[Math.min(value, fields.length - 1)]?.tokens.push(...own);
    }
    at = end;
  }
  return fields.every((field) => field.tokens.length > 0) ? fields : null;
}
