import { isJsonObject } from '@spillway/core';

/** The header of an answer that names the keys of the request's body which were not understood. */
export const IGNORED_HEADER = 'x-spillway-ignored';

/** Servers and proxies take some kilobytes of headers; a client that sends more strange keys than fit sees the first. */
const MAX_NAME_CHARACTERS = 64;
const MAX_HEADER_CHARACTERS = 512;

/** Stands at the end where not all names are shown. */
const MORE = '...';

/**
 * The value of the header for a body, or null where every key is known. A name may be any text, so whatever could end a
 * header or a name in it is percent-encoded, as in a URL.
 */
export function ignoredKeys(body: unknown, known: readonly string[]): string | null {
  if (!isJsonObject(body)) return null;
  const shown: string[] = [];
  let characters = MORE.length;
  for (const name of Object.keys(body)) {
    if (known.includes(name)) continue;
    const encoded = encodedName(name);
    characters += encoded.length + 1;
    if (characters > MAX_HEADER_CHARACTERS) return [...shown, MORE].join(',');
    shown.push(encoded);
  }
  return shown.length === 0 ? null : shown.join(',');
}

function encodedName(name: string): string {
  if (name === '') return '""';
  let encoded = '';
  for (const character of name) {
    const next = encoded + encodeURIComponent(character.toWellFormed());
    if (next.length > MAX_NAME_CHARACTERS) return encoded + MORE;
    encoded = next;
  }
  return encoded;
}
