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
import { SLICE_CHARACTERS, type Sliced } from './slices.ts';

/** Who looks at a text of JSON without parsing it. */
export type JsonWalker<Found> = {
  /** A bracket, comma or colon stands here, or a string or a word of other characters begins here; what is found ends the walk. */
  readonly onCode: (code: number, at: number) => Found | null;
  /** A string, its quotes included. */
  readonly onString: (from: number, to: number) => void;
};

/** What came of a walk: what its walker found, or else whether the last string ended. */
export type WalkedJson<Found> =
  | { readonly kind: 'found'; readonly found: Found }
  | { readonly kind: 'end'; readonly isInString: boolean };

/** Passes over a text of JSON once, whatever its strings say. */
export function* walkJson<Found>(text: string, walker: JsonWalker<Found>): Sliced<WalkedJson<Found>> {
  const walk = new Walk(text, walker);
  for (let slice = SLICE_CHARACTERS; ; slice = walk.at + SLICE_CHARACTERS) {
    const found = walk.walkTo(Math.min(slice, text.length));
    if (found !== null) return { kind: 'found', found };
    if (walk.at >= text.length) return { kind: 'end', isInString: walk.isInString };
    yield;
  }
}

/** What a character is outside of strings; `word`: of a number, `true`, `false`, `null`, or of what is no JSON. */
type Kind = 'blank' | 'mark' | 'quote' | 'word';

const MARKS: ReadonlySet<number> = new Set([COMMA, COLON, OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY]);

const kindOf = (code: number): Kind =>
  isJsonBlank(code) ? 'blank' : MARKS.has(code) ? 'mark' : code === QUOTE ? 'quote' : 'word';

/** Looked up: every third character of an answer with log-probs is a mark, and comparing makes a scan take a fifth more. */
const KINDS: readonly Kind[] = Array.from({ length: 128 }, (_, code) => kindOf(code));

/** How far a walk has come. A slice is a plain loop, which takes half of what it would as a part of the generator. */
class Walk<Found> {
  at = 0;
  readonly #text: string;
  readonly #walker: JsonWalker<Found>;
  /** Where the string began that has not ended yet; -1: there is none. */
  #quote = -1;
  #isInWord = false;

  constructor(text: string, walker: JsonWalker<Found>) {
    this.#text = text;
    this.#walker = walker;
  }

  get isInString(): boolean {
    return this.#quote !== -1;
  }

  walkTo(end: number): Found | null {
    while (this.at < end) {
      const found = this.isInString ? this.#passString(end) : this.#passCodes(end);
      if (found !== null) return found;
    }
    return null;
  }

  /** Up to the next string. */
  #passCodes(end: number): Found | null {
    const text = this.#text;
    const { onCode } = this.#walker;
    let isInWord = this.#isInWord;
    for (let at = this.at; at < end; at += 1) {
      const code = text.charCodeAt(at);
      const kind = KINDS[code] ?? 'word';
      const isNext = kind === 'word' && isInWord;
      isInWord = kind === 'word';
      if (isNext || kind === 'blank') continue;
      const found = onCode(code, at);
      if (found !== null) return found;
      if (kind !== 'quote') continue;
      this.#quote = at;
      this.#isInWord = false;
      this.at = at + 1;
      return null;
    }
    this.#isInWord = isInWord;
    this.at = end;
    return null;
  }

  #passString(end: number): null {
    const text = this.#text;
    let code = 0;
    let at = this.at;
    for (; at < end && code !== QUOTE; at += code === BACKSLASH ? 2 : 1) code = text.charCodeAt(at);
    this.at = at;
    if (code !== QUOTE) return null;
    this.#walker.onString(this.#quote, at);
    this.#quote = -1;
    return null;
  }
}
