import { cutText } from './cut.ts';

const MAX_NAMES = 10;
const MAX_NAME_CHARACTERS = 64;

/** Names as one reads them out, `'a', 'b' and 'c'`; of many the first, and how many more there are. */
export function listedNames(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).map((name) => `'${cutText(name, MAX_NAME_CHARACTERS, '…')}'`);
  const last = names.length > shown.length ? `${names.length - shown.length} more` : shown.pop();
  return shown.length === 0 ? (last ?? '') : `${shown.join(', ')} and ${last}`;
}
