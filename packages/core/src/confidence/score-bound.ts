import type { TokenLogprob } from '../endpoints/completion.ts';
import type { SignalSpec } from './spec.ts';

/** How log-probs of the tokens of a text, or of a value, become a score that no further token can raise. */
type Measure = (before: number, logprob: number) => number;

/** The signals that are bounded by what they say of a beginning: log-probs are never above 0. */
const MEASURES: ReadonlyMap<string, Measure> = new Map<string, Measure>([
  ['sum_logprob', (before, logprob) => before + logprob],
  ['min_logprob', (before, logprob) => Math.min(before, logprob)],
]);

/** Whether the beginning of a draft bounds what a signal can say of the whole. */
export const isBounded = ({ name }: SignalSpec): boolean => MEASURES.has(name);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/** What stands around the byte that comes next. */
type Place =
  /** Nothing but blanks. */
  | 'begin'
  /** Before the bracket that begins the JSON; blanks of every alphabet may be there. */
  | 'before'
  /** Not JSON: the score is that of all tokens. */
  | 'text'
  | 'between'
  | 'name'
  | 'string'
  | 'scalar';

/**
 * The most that a draft can score, however it goes on: of a text what its tokens come to so far; of one that begins as a
 * JSON object or array what its least sure value comes to, as only values count in it (see `fieldsOf`). Should it turn
 * out not to be JSON, all tokens count, which are no surer than some of them.
 */
export class ScoreBound {
  readonly #measure: Measure;
  #place: Place = 'begin';
  #isEscaped = false;
  /** Whether a string that begins now is a name; of each object and array around it, whether it is an object. */
  #expectsName = false;
  readonly #levels: boolean[] = [];
  /** The whole text's score, the open value's, and the least of those that have ended. */
  #whole = 0;
  #value: number | null = null;
  #least = 0;
  #empty: number[] = [];
  /** Whether the present token counts for the open value already. */
  #isCounted = false;

  constructor(signal: SignalSpec) {
    const measure = MEASURES.get(signal.name);
    if (measure === undefined) throw new RangeError(`a beginning says nothing of ${signal.name}`);
    this.#measure = measure;
  }

  /** What the whole draft scores at most; 0 before anything is known. */
  get atMost(): number {
    if (this.#place === 'begin') return 0;
    return this.#place === 'text' ? this.#whole : Math.min(this.#least, this.#value ?? 0);
  }

  /** What the text turns out to begin as, with the next token. */
  begin(isJson: boolean): void {
    if (this.#place === 'begin') this.#place = isJson ? 'before' : 'text';
  }

  /** Takes the next token of the draft, and the bytes that it adds to the text. */
  push({ logprob }: Pick<TokenLogprob, 'logprob'>, bytes: Uint8Array): void {
    // One without characters is the beginning of the next one, or an end mark, which is no part of the answer.
    if (bytes.length === 0) {
      this.#empty.push(logprob);
      return;
    }
    for (const one of this.#empty.splice(0)) this.#whole = this.#measure(this.#whole, one);
    this.#whole = this.#measure(this.#whole, logprob);
    this.#isCounted = false;
    if (this.#place === 'begin' || this.#place === 'text') return;
    for (const byte of bytes) this.#take(byte, logprob);
  }

  #take(byte: number, logprob: number): void {
    switch (this.#place) {
      case 'begin':
      case 'text':
        return;
      case 'before':
        if (isOpening(byte)) this.#structure(byte);
        return;
      case 'name':
        if (this.#endsString(byte)) this.#place = 'between';
        return;
      case 'string':
        return this.#takeInString(byte, logprob);
      case 'scalar':
        if (!endsScalar(byte)) return this.#count(logprob);
        this.#endValue();
        this.#place = 'between';
        return this.#takeBetween(byte, logprob);
      case 'between':
        return this.#takeBetween(byte, logprob);
    }
  }

  /** Of an empty string the quote that ends it is all that says so. */
  #takeInString(byte: number, logprob: number): void {
    const isFirst = this.#value === null;
    const ends = this.#endsString(byte);
    if (!ends || isFirst) this.#count(logprob);
    if (!ends) return;
    this.#endValue();
    this.#place = 'between';
  }

  #takeBetween(byte: number, logprob: number): void {
    if (isBlank(byte)) return;
    if (byte === QUOTE) {
      this.#place = this.#expectsName ? 'name' : 'string';
      this.#expectsName = false;
    } else if (isStructure(byte)) this.#structure(byte);
    else {
      this.#place = 'scalar';
      this.#count(logprob);
    }
  }

  #structure(byte: number): void {
    this.#place = 'between';
    if (isOpening(byte)) this.#levels.push(byte === 0x7b);
    else if (isClosing(byte)) this.#levels.pop();
    this.#expectsName = byte === 0x7b || (byte === COMMA && this.#levels.at(-1) === true);
  }

  /** Whether a byte of a string is the quote that ends it. */
  #endsString(byte: number): boolean {
    if (this.#isEscaped) {
      this.#isEscaped = false;
      return false;
    }
    this.#isEscaped = byte === BACKSLASH;
    return byte === QUOTE;
  }

  /** The present token is of the open value; once, however many of its bytes are. */
  #count(logprob: number): void {
    if (this.#isCounted && this.#value !== null) return;
    this.#value = this.#measure(this.#value ?? 0, logprob);
    this.#isCounted = true;
  }

  #endValue(): void {
    this.#least = Math.min(this.#least, this.#value ?? 0);
    this.#value = null;
  }
}

const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
const isOpening = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number): boolean => byte === 0x7d || byte === 0x5d;
const isStructure = (byte: number): boolean => isOpening(byte) || isClosing(byte) || byte === COMMA || byte === COLON;
const endsScalar = (byte: number): boolean => isStructure(byte) || isBlank(byte) || byte === QUOTE;
