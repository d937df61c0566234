import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  isJsonBlank,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from './json-codes.ts';
import { JsonScan, type JsonExcess, type JsonLimits } from './json-scan.ts';
import { setOwn, type Json } from './json.ts';
import { SLICE_CHARACTERS, type Sliced } from './slices.ts';

/** What a text from outside says. */
export type ReadJson =
  | { readonly kind: 'json'; readonly value: Json }
  | { readonly kind: 'no_json' }
  /** It is nested deeper, or has more values, than somebody may send. */
  | { readonly kind: 'beyond'; readonly excess: JsonExcess };

/**
 * Reads JSON that may be long, hostile, or both. First it is only counted; then what is longer than a slice is parsed
 * slice by slice. The result is what `JSON.parse` makes of the text, to the order of the keys; and so is what is no JSON.
 *
 * Why not in a thread: what comes back from one must be built anew by this thread, at once, and that takes longer than
 * the parsing (measured: 100,000 objects are parsed in 8 ms and taken over in 20, with keys of digits in 20 and 340).
 */
export function* readingJson(text: string, limits: JsonLimits): Sliced<ReadJson> {
  if (text.length <= Math.min(SHORT_CHARACTERS, limits.values) && !mayBeDeep(text, limits.depth)) return parsed(text);
  const scanned = yield* new JsonScan(text, limits).run();
  if (scanned.kind !== 'scanned') return scanned;
  try {
    return { kind: 'json', value: yield* new Parser(text, scanned.long).parse() };
  } catch (error) {
    if (error instanceof SyntaxError) return { kind: 'no_json' };
    throw error;
  }
}

/** What is this short and not deep is parsed before it could be counted; a streamed answer has an event a token. */
const SHORT_CHARACTERS = 2_048;

/** Whether there are more brackets than a text may be deep, wherever they are. To look for them is quicker than to read. */
function mayBeDeep(text: string, depth: number): boolean {
  let opened = 0;
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      opened += 1;
      if (opened > depth) return true;
    }
  }
  return false;
}

function parsed(text: string): ReadJson {
  try {
    return { kind: 'json', value: JSON.parse(text) as Json };
  } catch {
    return { kind: 'no_json' };
  }
}

/** An item of an object or array: what lies between two commas. */
type Item = { readonly from: number; readonly to: number; readonly isLong: boolean };

/** Parses a text that was scanned, whose depth is bounded: it goes down only into what is longer than a slice. */
class Parser {
  readonly #text: string;
  readonly #long: ReadonlyMap<number, number>;

  constructor(text: string, long: ReadonlyMap<number, number>) {
    this.#text = text;
    this.#long = long;
  }

  *parse(): Sliced<Json> {
    return yield* this.#value(0, this.#text.length);
  }

  /** The value between two places, with nothing but blanks around it. */
  *#value(from: number, to: number): Sliced<Json> {
    const begin = yield* this.#behindBlanks(from, to);
    const end = this.#long.get(begin);
    if (end === undefined) return JSON.parse(this.#text.slice(begin, to)) as Json;
    if ((yield* this.#behindBlanks(end, to)) !== to) throw new SyntaxError('something stands behind a value');
    const code = this.#text.charCodeAt(begin);
    if (code === OPEN_OBJECT) return yield* this.#object(begin + 1, end - 1);
    return code === OPEN_ARRAY ? yield* this.#array(begin + 1, end - 1) : yield* this.#string(begin + 1, end - 1);
  }

  *#array(from: number, to: number): Sliced<Json> {
    const list: Json[] = [];
    for (let item = yield* this.#item(from, to); ; item = yield* this.#item(item.to + 1, to)) {
      if (item.isLong) list.push(yield* this.#value(item.from, item.to));
      else {
        const few = JSON.parse(`[${this.#text.slice(item.from, item.to)}]`) as readonly Json[];
        this.#expectItems(few.length, item, from, to);
        for (const one of few) list.push(one);
        yield;
      }
      if (item.to === to) return list;
    }
  }

  *#object(from: number, to: number): Sliced<Json> {
    const object: Record<string, Json> = {};
    for (let item = yield* this.#item(from, to); ; item = yield* this.#item(item.to + 1, to)) {
      if (item.isLong) {
        const colon = yield* this.#colon(item);
        const key = yield* this.#value(item.from, colon);
        if (typeof key !== 'string') throw new SyntaxError('a name is no string');
        setOwn(object, key, yield* this.#value(colon + 1, item.to));
      } else {
        const few = Object.entries(JSON.parse(`{${this.#text.slice(item.from, item.to)}}`) as Record<string, Json>);
        this.#expectItems(few.length, item, from, to);
        for (const [key, value] of few) setOwn(object, key, value);
        yield;
      }
      if (item.to === to) return object;
    }
  }

  /** A comma with nothing before or behind it; a parser takes no items for an empty object or array. */
  #expectItems(count: number, item: Item, from: number, to: number): void {
    if (count === 0 && (item.from !== from || item.to !== to)) throw new SyntaxError('a comma too many');
  }

  /** Where an item ends that has something long in it, or else as many as fit in a slice: at a comma, or at the end. */
  *#item(from: number, to: number): Sliced<Item> {
    let [depth, last, quoted, isLong] = [0, -1, false, false];
    let slice = from + SLICE_CHARACTERS;
    for (let at = from; at < to; at += 1) {
      if (at >= slice) {
        if (last !== -1) return { from, to: last, isLong };
        slice = at + SLICE_CHARACTERS;
        yield;
      }
      const code = this.#text.charCodeAt(at);
      const end = quoted ? undefined : this.#longEnd(code, at);
      if (end !== undefined) {
        // What is short before it goes first.
        if (last !== -1) return { from, to: last, isLong };
        isLong = true;
        at = end - 1;
      } else if (code === QUOTE) quoted = !quoted;
      else if (quoted) at += code === BACKSLASH ? 1 : 0;
      else if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth += 1;
      else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth -= 1;
      else if (code === COMMA && depth === 0) {
        if (isLong) return { from, to: at, isLong };
        last = at;
      }
    }
    return { from, to, isLong };
  }

  /** Where the string, object or array ends that begins here, if it is longer than a slice. */
  #longEnd(code: number, at: number): number | undefined {
    return code === QUOTE || code === OPEN_OBJECT || code === OPEN_ARRAY ? this.#long.get(at) : undefined;
  }

  /** The colon behind the name that an item begins with. */
  *#colon({ from, to }: Item): Sliced<number> {
    const begin = yield* this.#behindBlanks(from, to);
    if (this.#text.charCodeAt(begin) !== QUOTE) throw new SyntaxError('a name is no string');
    const end = this.#long.get(begin) ?? shortStringEnd(this.#text, begin);
    const colon = yield* this.#behindBlanks(end, to);
    if (this.#text.charCodeAt(colon) !== COLON) throw new SyntaxError('a name without a colon');
    return colon;
  }

  /** What lies between the quotes of a long string, piece by piece: none ends in the middle of an escape. */
  *#string(from: number, to: number): Sliced<string> {
    const pieces: string[] = [];
    for (let at = from; at < to;) {
      const end = pieceEnd(this.#text, at, to);
      pieces.push(JSON.parse(`"${this.#text.slice(at, end)}"`) as string);
      at = end;
      yield;
    }
    return pieces.join('');
  }

  *#behindBlanks(from: number, to: number): Sliced<number> {
    let at = from;
    for (; at < to && isJsonBlank(this.#text.charCodeAt(at)); at += 1) {
      if ((at - from) % SLICE_CHARACTERS === SLICE_CHARACTERS - 1) yield;
    }
    return at;
  }
}

/** Behind the quote that ends the string which begins here, and which is no longer than a slice. */
function shortStringEnd(text: string, from: number): number {
  let at = from + 1;
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}

/** Where a piece of a string may end that begins here. */
function pieceEnd(text: string, from: number, to: number): number {
  const most = Math.min(to, from + SLICE_CHARACTERS);
  if (most === to || !text.slice(from, most).includes('\\')) return most;
  let at = from;
  while (at < most) at += text[at] !== '\\' ? 1 : text[at + 1] === 'u' ? 6 : 2;
  return Math.min(at, to);
}
