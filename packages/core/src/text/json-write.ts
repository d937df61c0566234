import { strictJson } from './json-line.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { SLICE_CHARACTERS, type Sliced } from './slices.ts';

/** What `strictJson` writes, slice by slice, of a value that may be long; its depth is bounded. */
export function* writingJson(value: Json): Sliced<string> {
  const sheet = new Sheet();
  yield* writing(value, sheet);
  return sheet.text();
}

/** What is written so far. */
class Sheet {
  readonly #slices: string[] = [];
  #parts: string[] = [];
  #length = 0;

  /** True: a slice is full. */
  put(part: string): boolean {
    this.#parts.push(part);
    this.#length += part.length + 1;
    if (this.#length < SLICE_CHARACTERS) return false;
    this.#slices.push(this.#parts.join(''));
    this.#parts = [];
    this.#length = 0;
    return true;
  }

  text(): string {
    return [...this.#slices, ...this.#parts].join('');
  }
}

/** What is short is written at once. */
function* writing(value: Json, sheet: Sheet): Sliced<void> {
  if (costOf(value, SLICE_CHARACTERS) <= SLICE_CHARACTERS) {
    if (sheet.put(strictJson(value))) yield;
  } else if (typeof value === 'string') yield* writingString(value, sheet);
  else if (isJsonObject(value)) yield* writingObject(value, sheet);
  else yield* writingArray(value as readonly Json[], sheet);
}

/** So many characters a value has, its values counted as one each; no more is looked at than `most`. */
function costOf(value: Json, most: number): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 1;
  const isObject = isJsonObject(value);
  const names = isObject ? Object.keys(value) : [];
  let cost = 1 + (isObject ? names.length : value.length);
  if (cost > most) return cost;
  for (const name of names) cost += name.length;
  for (const one of isObject ? names.map((name) => value[name] ?? null) : value) {
    if (cost > most) return cost;
    cost += costOf(one, most - cost);
  }
  return cost;
}

function* writingArray(list: readonly Json[], sheet: Sheet): Sliced<void> {
  for (const [at, one] of list.entries()) {
    sheet.put(at === 0 ? '[' : ',');
    yield* writing(one, sheet);
  }
  sheet.put(']');
}

function* writingObject(object: JsonObject, sheet: Sheet): Sliced<void> {
  yield;
  const names = Object.keys(object);
  let before = '{';
  for (const name of names) {
    const value = object[name];
    // As `JSON.stringify` does.
    if (value === undefined) continue;
    sheet.put(before);
    yield* writing(name, sheet);
    sheet.put(':');
    yield* writing(value, sheet);
    before = ',';
  }
  sheet.put(before === '{' ? '{}' : '}');
}

/** Piece by piece, none of which ends in the middle of a character. */
function* writingString(text: string, sheet: Sheet): Sliced<void> {
  sheet.put('"');
  for (let at = 0; at < text.length;) {
    const end = characterEnd(text, at + SLICE_CHARACTERS);
    sheet.put(strictJson(text.slice(at, end)).slice(1, -1));
    at = end;
    yield;
  }
  sheet.put('"');
}

const characterEnd = (text: string, at: number): number =>
  /[\uD800-\uDBFF]/.test(text[at - 1] ?? '') && /[\uDC00-\uDFFF]/.test(text[at] ?? '') ? at + 1 : at;
