import { JSON_CODES, parseJson, walkJson, type Sliced } from '@spillway/core';

/** Where in a text something begins, and where it ends. */
export type Span = { readonly from: number; readonly to: number };

/** A list in an object, and its items. */
export type FoundList = Span & { readonly items: readonly Span[] };

export type ScannedList =
  /** Null: the key is not there, or has no list. */
  { readonly kind: 'scanned'; readonly list: FoundList | null } | Refusal;

/** Why the text is refused before it is read; values with how many there may be. */
type Refusal =
  | { readonly kind: 'twice' | 'too_many_items' }
  | { readonly kind: 'too_many_values'; readonly most: number };

/** How many items the list may have, and how many values there may be in it and beside it. */
export type ListLimits = { readonly items: number; readonly values: number; readonly others: number };

/** A list that has not ended yet. */
type OpenList = { readonly from: number; itemFrom: number; readonly items: Span[] };

const { CLOSE_ARRAY, CLOSE_OBJECT, COLON, COMMA, OPEN_ARRAY, OPEN_OBJECT } = JSON_CODES;

/** A key is not looked at that is longer in the text, whatever escapes it is written with. */
const MAX_KEY_CHARACTERS = 128;

/**
 * Finds the list that a key of an object has while all of it is text yet, and where each of its items lies: so each can be
 * read by itself, and one of many is held as values at a time. Nothing is parsed; whether the items are JSON, and the rest
 * around the list, is seen by whoever reads them.
 */
export class ListScan {
  readonly #text: string;
  readonly #key: string;
  readonly #limits: ListLimits;
  #depth = 0;
  /** A value more for each comma and each bracket: nearly what a parser would make, and never less than half of it. */
  readonly #values = { inList: 0, others: 1 };
  /** The last string in the object itself; a colon makes it a key. */
  #string: Span | null = null;
  #isAtKey = false;
  #open: OpenList | null = null;
  #list: FoundList | null = null;

  constructor(text: string, key: string, limits: ListLimits) {
    this.#text = text;
    this.#key = key;
    this.#limits = limits;
  }

  *run(): Sliced<ScannedList> {
    const walked = yield* walkJson<Refusal>(this.#text, {
      onCode: (code, at) => this.#take(code, at),
      onString: (from, to) => {
        if (this.#depth === 1) this.#string = { from, to };
      },
    });
    return walked.kind === 'found' ? walked.found : { kind: 'scanned', list: this.#list };
  }

  #take(code: number, at: number): Refusal | null {
    if (code === COLON) {
      if (this.#depth === 1) this.#isAtKey = this.#isKey(this.#string);
      return null;
    }
    if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      this.#depth -= 1;
      return this.#depth === 1 && this.#open !== null ? this.#close(at) : null;
    }
    if (code !== COMMA && code !== OPEN_OBJECT && code !== OPEN_ARRAY) return null;
    const counted = this.#open === null ? 'others' : 'inList';
    this.#values[counted] += 1;
    const { values, others } = this.#limits;
    if (this.#values.inList > values) return { kind: 'too_many_values', most: values };
    if (this.#values.others > others) return { kind: 'too_many_values', most: others };
    if (code === COMMA) {
      if (this.#depth === 1) this.#isAtKey = false;
      return this.#depth === 2 && this.#open !== null ? this.#endItem(this.#open, at) : null;
    }
    if (code === OPEN_ARRAY && this.#depth === 1 && this.#isAtKey) {
      if (this.#list !== null) return { kind: 'twice' };
      this.#open = { from: at, itemFrom: at + 1, items: [] };
    }
    this.#depth += 1;
    return null;
  }

  #isKey(string: Span | null): boolean {
    if (string === null || string.to - string.from > MAX_KEY_CHARACTERS) return false;
    return parseJson(this.#text.slice(string.from, string.to)) === this.#key;
  }

  #endItem(open: OpenList, at: number): Refusal | null {
    open.items.push({ from: open.itemFrom, to: at });
    open.itemFrom = at + 1;
    return open.items.length > this.#limits.items ? { kind: 'too_many_items' } : null;
  }

  #close(at: number): Refusal | null {
    const open = this.#open;
    if (open === null) return null;
    this.#open = null;
    const isEmpty = open.items.length === 0 && /^\s*$/.test(this.#text.slice(open.itemFrom, at));
    const refusal = isEmpty ? null : this.#endItem(open, at);
    this.#list = { from: open.from, to: at + 1, items: open.items };
    return refusal;
  }
}
