/**
 * Line separators that JSON leaves as they are and that some line readers (Python's `splitlines`) take for line ends.
 */
const SEPARATORS: Readonly<Record<string, string>> = { '\u2028': '\\u2028', '\u2029': '\\u2029', '\u0085': '\\u0085' };

/** JSON on one line, whoever reads it. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(/[\u2028\u2029\u0085]/g, (found) => SEPARATORS[found] as string);
}
