import { LIMITS } from '../limits.ts';
import { readingJson } from '../text/json-read.ts';
import type { Sliced } from '../text/slices.ts';

/**
 * Why a text is not one line of JSON, where that can be seen: the mistakes that people make with these files. A
 * sentence; null for any other.
 */
export function* noJsonReason(text: string): Sliced<string | null> {
  if (text.includes('\0')) return NO_WIDE_TEXT;
  const line = text.trim();
  if (line.endsWith(',') && (yield* isJson(line.slice(0, -1)))) return 'A JSON line must not end with a comma.';
  if (line.startsWith(',') && (yield* isJson(line.slice(1)))) return 'A JSON line must not begin with a comma.';
  if (line.startsWith('[')) return NO_ARRAY;
  if (TABLE_ROW.test(line)) return 'It looks like CSV: each line must be one request, a JSON object.';
  return null;
}

const isJson = function* (text: string): Sliced<boolean> {
  return (yield* readingJson(text, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues })).kind === 'json';
};

/** Fields with something between them; what ends with a comma, or begins with a JSON name, is a piece of JSON. */
const TABLE_ROW = /^(?!"[^"]*"\s*:)[^{}<,;\t]+[,;\t](?:.*[^,])?$/s;

/** What is said of bytes that are no text in UTF-8, but probably in another encoding of Unicode. */
export const NO_WIDE_TEXT = 'It holds NUL bytes, as text in UTF-16 or UTF-32 does: the file must be UTF-8.';

/** What is said of the requests of a file in one array, on many lines or on one. */
export const NO_ARRAY =
  'It is a JSON array: each line must be one request, a JSON object, with no brackets around them.';
