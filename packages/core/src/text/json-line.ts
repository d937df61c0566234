/**
 * Line separators that JSON leaves as they are and that some line readers (Python's `splitlines`) take for line ends.
 */
const SEPARATORS: Readonly<Record<string, string>> = { '\u2028': '\\u2028', '\u2029': '\\u2029', '\u0085': '\\u0085' };

/** JSON on one line, whoever reads it. */
export const jsonLine = (value: unknown): string => lineOfJson(strictJson(value));

/** JSON as it is written without breaks, on one line for every reader. */
export const lineOfJson = (json: string): string =>
  json.replace(/[\u2028\u2029\u0085]/g, (found) => SEPARATORS[found] as string);

/** JSON that strict readers take, whatever text models and clients bring. All JSON that leaves is written by this. */
export const strictJson = (value: unknown): string => strictJsonText(JSON.stringify(value));

/** An escape of half a character, or any other one: read in a row, so that the `\\` before a `u` is seen as its own. */
const ESCAPES = /\\(?:ud[89a-f][\da-f]{2}|.)/g;

/**
 * Text as `JSON.stringify` writes it, with U+FFFD in place of what is only half of a character, in values and in names.
 * `JSON.stringify` writes such a half as an escape, and whole characters never so; readers that hold text as UTF-8
 * (orjson, serde_json, jq) refuse the escape. Two names that differ in nothing else become equal, and readers take the
 * last.
 */
export function strictJsonText(text: string): string {
  if (!text.includes(String.raw`\ud`)) return text;
  return text.replace(ESCAPES, (escape) => (escape.length > 2 ? '\ufffd' : escape));
}
