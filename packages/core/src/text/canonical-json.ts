import { strictJson } from './json-line.ts';
import { isJsonObject, setOwn, type Json } from './json.ts';

/**
 * JSON by which equal values are known: as it leaves, with each object's names in order. Null: the value holds more than
 * `most` others, so that writing it would take long.
 */
export function canonicalJson(value: Json, most: number): string | null {
  let left = most;
  // Texts are shared, and written by the one call at the end: that is several times faster than writing piece by piece.
  const inOrder = (one: Json): Json => {
    left -= 1;
    if (left < 0 || typeof one !== 'object' || one === null) return one;
    if (!isJsonObject(one)) return one.map(inOrder);
    const names = Object.keys(one);
    // Sorting takes long, too.
    if (names.length > left) left = -1;
    if (left < 0) return one;
    const ordered: Record<string, Json> = {};
    for (const name of names.sort()) setOwn(ordered, name, inOrder(one[name] ?? null));
    return ordered;
  };
  const copy = inOrder(value);
  return left < 0 ? null : strictJson(copy);
}
