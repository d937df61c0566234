import { LIMITS } from '../../limits.ts';
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
} from '../../text/json-codes.ts';

/** Where a text that goes on with a value's name has come to. */
type Place =
  /** The text before is said again, as far as it goes. */
  | 'again'
  /** At the quote that ends the name. */
  | 'name'
  /** Behind it, in front of the colon. */
  | 'colon'
  /** Behind the colon, in front of the value. */
  | 'value'
  | 'string'
  /** Behind a backslash in a string. */
  | 'escape'
  /** In an object or array, and in no string. */
  | 'inside'
  /** In a number, `true`, `false` or `null`. */
  | 'word'
  | 'behind_word'
  /** What comes from here on changes nothing. */
  | 'over';

/** How a text ended that is over. */
type Over = 'value' | 'no_name' | 'no_json' | 'too_deep';

/**
 * Looks for the end of a value in a text that comes in pieces, at each of its characters once. The text is what comes
 * behind `before`, or all of it again: `before` begins with a brace, and what comes behind it with a quote.
 */
export class ContinuedScan {
  readonly #before: string;
  #place: Place;
  #over: Over | null = null;
  /** Characters of the text so far. */
  #length = 0;
  #depth = 0;
  #from = 0;
  #to = 0;

  constructor(before: string) {
    this.#before = before;
    this.#place = before === '' ? 'name' : 'again';
  }

  /** How it ended; null: it has not yet. */
  get over(): Over | null {
    return this.#over;
  }

  /** Where the value begins, and behind its last character; as far as they came. */
  get from(): number {
    return this.#from;
  }

  get to(): number {
    return this.#to;
  }

  /**
   * Takes the next piece; says whether the text is enough: what `readContinuedValue` makes of it is no longer
   * `unfinished`, and that of any longer one is not either.
   */
  push(piece: string): boolean {
    for (let at = 0; at < piece.length && this.#over === null; at += 1)
      this.#take(piece.charCodeAt(at), this.#length + at);
    this.#length += piece.length;
    return this.#over !== null || this.#length > this.#before.length + LIMITS.judgedCharacters;
  }

  #take(code: number, at: number): void {
    switch (this.#place) {
      case 'again':
        return this.#takeAgain(code, at);
      case 'name':
        return code === QUOTE ? this.#goTo('colon') : this.#end('no_name');
      case 'colon':
        if (isJsonBlank(code)) return;
        return code === COLON ? this.#goTo('value') : this.#end('no_json');
      case 'value':
        return this.#takeFirst(code, at);
      case 'string':
        if (code === BACKSLASH) this.#goTo('escape');
        else if (code === QUOTE) this.#close(at);
        return;
      case 'escape':
        return this.#goTo('string');
      case 'inside':
        return this.#takeInside(code, at);
      case 'word':
        if (!endsWord(code)) return;
        this.#to = at;
        return isJsonBlank(code) ? this.#goTo('behind_word') : this.#end('value');
      case 'behind_word':
        if (!isJsonBlank(code)) this.#end('value');
        return;
      case 'over':
    }
  }

  /** What differs from the text before began with it, and so not with a quote. */
  #takeAgain(code: number, at: number): void {
    if (code === this.#before.charCodeAt(at)) {
      if (at + 1 === this.#before.length) this.#goTo('name');
    } else if (at === 0 && code === QUOTE) this.#goTo('colon');
    else this.#end('no_name');
  }

  #takeFirst(code: number, at: number): void {
    if (isJsonBlank(code)) return;
    if (endsWord(code)) return this.#end('no_json');
    this.#from = at;
    if (code === QUOTE || code === OPEN_OBJECT || code === OPEN_ARRAY) this.#takeInside(code, at);
    else this.#goTo('word');
  }

  #takeInside(code: number, at: number): void {
    if (code === QUOTE) return this.#goTo('string');
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      this.#depth += 1;
      if (this.#depth > LIMITS.jsonDepth) return this.#end('too_deep');
      this.#goTo('inside');
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      this.#depth -= 1;
      this.#close(at);
    }
  }

  /** A string, an object or an array has ended; the value if it is in no other. */
  #close(at: number): void {
    if (this.#depth > 0) return this.#goTo('inside');
    this.#to = at + 1;
    this.#end('value');
  }

  #goTo(place: Place): void {
    this.#place = place;
  }

  #end(over: Over): void {
    this.#over = over;
    this.#place = 'over';
  }
}

const endsWord = (code: number): boolean =>
  code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || isJsonBlank(code);
