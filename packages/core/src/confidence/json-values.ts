/** A scalar in a JSON text: where it is (RFC 6901) and where its bytes lie, without the quotes of a string. */
export type JsonValue = { readonly path: string; readonly from: number; readonly to: number };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);
const COMMA = 0x2c;
const COLON = 0x3a;
const BLANKS = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Where the walker is in an object or an array. */
type Level = { readonly isObject: boolean; readonly place: string; name: string; index: number; expectsKey: boolean };

/**
 * Walks over the bytes of a JSON text, in one pass and without recursion, and lists its scalars. The text has been
 * parsed before: what comes of other texts means nothing.
 */
export function jsonValues(text: Uint8Array): JsonValue[] {
  const found: JsonValue[] = [];
  const levels: Level[] = [];
  // Each level knows its own place, so that a value costs the same however deep it is and however long the names are.
  const path = (): string => {
    const level = levels.at(-1);
    return level === undefined ? '' : `${level.place}/${level.isObject ? level.name : level.index}`;
  };
  for (let at = 0; at < text.length;) {
    const byte = text[at] ?? 0;
    const level = levels.at(-1);
    if (byte === QUOTE) {
      const end = endOfString(text, at);
      if (level?.expectsKey === true) level.name = escapeKey(keyOf(text.subarray(at, end)));
      // The quote that ends an empty string is all that says so.
      else found.push({ path: path(), from: at + 1, to: Math.max(at + 2, end - 1) });
      at = end;
    } else if (OPENING.has(byte)) {
      levels.push({ isObject: byte === 0x7b, place: path(), name: '', index: 0, expectsKey: byte === 0x7b });
      at += 1;
    } else if (CLOSING.has(byte)) {
      levels.pop();
      at += 1;
    } else if (byte === COMMA) {
      if (level !== undefined) [level.index, level.expectsKey] = [level.index + 1, level.isObject];
      at += 1;
    } else if (byte === COLON) {
      if (level !== undefined) level.expectsKey = false;
      at += 1;
    } else if (BLANKS.has(byte)) at += 1;
    else {
      const from = at;
      while (at < text.length && !endsScalar(text[at] ?? 0)) at += 1;
      found.push({ path: path(), from, to: at });
    }
  }
  return found;
}

const endsScalar = (byte: number): boolean =>
  byte === COMMA || CLOSING.has(byte) || BLANKS.has(byte) || byte === COLON || byte === QUOTE || OPENING.has(byte);

/** Behind the quote that ends the string that begins here. */
function endOfString(text: Uint8Array, from: number): number {
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === BACKSLASH) at += 1;
    else if (text[at] === QUOTE) return at + 1;
  }
  return text.length;
}

function keyOf(quoted: Uint8Array): string {
  try {
    return String(JSON.parse(Buffer.from(quoted).toString('utf8')));
  } catch {
    return Buffer.from(quoted).toString('utf8');
  }
}

const escapeKey = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
