/** A name may be as long as an answer; a value that is named by more than this is not asked for by its name. */
export const MAX_PATH_CHARACTERS = 1_000;

/** What an object's name or an array's index is in a JSON pointer (RFC 6901, section 3). */
export const escapeToken = (token: string): string => token.replaceAll('~', '~0').replaceAll('/', '~1');

/** The names and indices of a JSON pointer, none for the whole document; null: it is no pointer. */
export function pointerTokens(pointer: string): string[] | null {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return null;
  // In this order `~01` is `~1` and not `/`.
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The same of a pointer that Spillway made; another one is a mistake of the caller. */
export function tokensOf(pointer: string): string[] {
  const tokens = pointerTokens(pointer);
  if (tokens === null) throw new RangeError(`${JSON.stringify(pointer)} is no JSON pointer`);
  return tokens;
}
