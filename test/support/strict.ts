/** An escape of half a character: what JavaScript reads, and orjson, serde_json and jq refuse. */
const ESCAPES = /\\u(d[89ab][\da-f]{2})(?:\\u(d[c-f][\da-f]{2}))?|\\u(d[c-f][\da-f]{2})|\\./gi;

/** JSON as strict readers take it: UTF-8 without a fault, whole characters in values and in names. Throws for any other. */
export function strictParse(bytes: Uint8Array | string): unknown {
  const text =
    typeof bytes === 'string' ? bytes : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  if (!text.isWellFormed()) throw new Error(`half of a character in ${text.slice(0, 200).toWellFormed()}`);
  for (const [escape, high, low, alone] of text.matchAll(ESCAPES)) {
    if (alone !== undefined || (high !== undefined && low === undefined)) {
      throw new Error(`${escape} in ${text.slice(0, 200)}`);
    }
  }
  return JSON.parse(text);
}

/** The lines of a results file, read so. */
export function strictLines(bytes: Uint8Array): unknown[] {
  const lines: Uint8Array[] = [];
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(0x0a, from);
    if (end === -1) throw new Error('a results file ends with a newline');
    lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return lines.map(strictParse);
}
