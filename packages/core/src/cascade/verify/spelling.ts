import { LIMITS } from '../../limits.ts';
import { SLICE_ITEMS, type Sliced } from '../../text/slices.ts';

/** Why something that a server sent cannot be used, in words for a log. */
export type Unreadable = { readonly kind: 'unreadable'; readonly why: string };

export const unreadable = (why: string): Unreadable => ({ kind: 'unreadable', why });

/** A list of tokens of which the last ones are to spell a text. */
export type TokenTexts = {
  /** Behind the last token of the text. */
  readonly end: number;
  /** What a token says, or all that it may say where its server leaves that open. */
  readonly textsAt: (at: number) => readonly string[] | Unreadable;
};

/** Tokens that share characters: the text from `from` to `to` (UTF-16) is spelt by the tokens from `first` up to `end`. */
export type TokenGroup = {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly end: number;
};

export type Spelling = { readonly kind: 'spelt'; readonly groups: readonly TokenGroup[] } | Unreadable;

/** What servers write for a part of a character that a token ends or begins in. */
const HALF = '\uFFFD';
const HALF_BYTES = Buffer.from(HALF);

/**
 * Places that are looked at, 256 bytes of each, where a token may begin at several: many halves of characters that follow
 * each other may be laid over a text in many ways. They take 0.15 s in all, and are enough for a run of 900 halves.
 */
const MAX_STEPS = 1_000_000;

/** Longer tokens are counted as steps. */
const MAX_SHORT = 256;

/** So many of them are one slice: 4 to 5 ms where nothing else is done in it. */
const SLICE_STEPS = 5_000;

/**
 * Lays the last tokens of a list over a whole text, from its end to its beginning. A token of which a part of a character
 * is left may say nothing (the last token of the character then has it whole) or `�`; where the text can be
 * parted among such tokens in several ways they are one group. A token that begins before the text spells none.
 *
 * What a text cannot show: a token that says a word and begins a character, where its server leaves the beginning out. Such a
 * token ends where the word does, as far as anybody can see.
 *
 * All places where a token may begin are held at once, so the work grows with their number and never with the number of
 * ways; beyond `MAX_STEPS` the text counts as not spelt.
 */
export function* spellEnd(text: string, tokens: TokenTexts): Sliced<Spelling> {
  return yield* new Speller(text, tokens).spell();
}

class Speller {
  /** The text in UTF-8, as a token may end in the middle of a character. */
  readonly #wanted: Buffer;
  readonly #tokens: TokenTexts;
  /** Bytes at which the tokens from one on may begin, the last token's first. */
  readonly #places: (readonly number[])[] = [];
  #steps = 0;
  #slice = SLICE_STEPS;

  constructor(text: string, tokens: TokenTexts) {
    this.#wanted = Buffer.from(text);
    this.#tokens = tokens;
  }

  *spell(): Sliced<Spelling> {
    const first = yield* this.#firstToken();
    if (typeof first !== 'number') return first;
    return yield* this.#groups(first);
  }

  /** The first token of the text: of several that might be, the earliest, so that none of its scores is left out. */
  *#firstToken(): Sliced<number | Unreadable> {
    const { end } = this.#tokens;
    let [places, first]: [readonly number[], number | null] = [[this.#wanted.length], null];
    this.#places.push(places);
    for (let at = end - 1; at >= 0 && places.some((place) => place > 0); at -= 1) {
      if (end - at > LIMITS.judgedLogprobs) return unreadable('the draft has more tokens than are looked at');
      if ((end - at) % SLICE_ITEMS === 0) yield;
      const texts = this.#tokens.textsAt(at);
      if ('kind' in texts) return texts;
      if (at === end - 1 && texts.every((one) => one === '')) return unreadable('the last token has no characters');
      places = this.#beforeOne(places, texts) ?? (yield* this.#before(places, texts));
      if (this.#steps > MAX_STEPS) return unreadable('the tokens may be laid over the draft in too many ways');
      this.#places.push(places);
      if (places.includes(0)) first = at;
    }
    return first === null ? unreadable('the last tokens do not spell the draft') : this.#withBeginning(first);
  }

  /** The tokens without characters in which the first character of the text began; a mark before the text may have none, either. */
  #withBeginning(first: number): number | Unreadable {
    const most = characterLength(this.#wanted[0] ?? 0) - 1;
    for (let at = first - 1; at >= Math.max(0, first - most); at -= 1) {
      const texts = this.#tokens.textsAt(at);
      if ('kind' in texts) return texts;
      if (texts.some((one) => one !== '')) return at + 1;
    }
    return Math.max(0, first - most);
  }

  /** Cuts the tokens wherever there is one place only at which the next one may begin, and a character begins there. */
  *#groups(first: number): Sliced<Spelling> {
    const { end } = this.#tokens;
    const groups: TokenGroup[] = [];
    let reached: readonly number[] = [0];
    let [begin, byte, from] = [first, 0, 0];
    for (let at = first; at < end; at += 1) {
      if ((at - first) % SLICE_ITEMS === SLICE_ITEMS - 1) yield;
      reached = yield* this.#after(reached, at);
      if (this.#steps > MAX_STEPS) return unreadable('the tokens may be laid over the draft in too many ways');
      const [place] = reached;
      if (reached.length !== 1 || place === undefined || place <= byte || !isBegin(this.#wanted, place)) continue;
      const to = from + unitsIn(this.#wanted, byte, place);
      groups.push({ from, to, first: begin, end: at + 1 });
      [begin, byte, from] = [at + 1, place, to];
    }
    return { kind: 'spelt', groups };
  }

  /** Where the text may go on behind a token that begins at one of some places. */
  *#after(reached: readonly number[], at: number): Sliced<readonly number[]> {
    const places = this.#placesBefore(at + 1);
    const texts = places.length === 1 ? [] : this.#tokens.textsAt(at);
    if ('kind' in texts || texts.length === 0) return places;
    const after: number[] = [];
    for (const place of places) {
      const before = yield* this.#before([place], texts);
      if (before.some((one) => reached.includes(one))) after.push(place);
      this.#steps += reached.length;
    }
    return after;
  }

  /** Tokens without characters before the text begin where it does. */
  #placesBefore(at: number): readonly number[] {
    return this.#places[this.#tokens.end - at] ?? [0];
  }

  /** Where a token may begin that ends at one of some places and says one of some texts. */
  *#before(places: readonly number[], texts: readonly string[]): Sliced<readonly number[]> {
    const found = new Set<number>();
    for (const text of texts) {
      const pieces = text.split(HALF);
      let ends: readonly number[] = places;
      for (let at = pieces.length - 1; at >= 0 && ends.length > 0; at -= 1) {
        const piece = pieces[at] ?? '';
        this.#steps += ends.length * (1 + (piece.length >> 8));
        if (this.#steps > MAX_STEPS) return [];
        if (this.#steps > this.#slice) {
          this.#slice = this.#steps + SLICE_STEPS;
          yield;
        }
        ends = piece === '' ? ends : this.#beforeLiteral(ends, Buffer.from(piece));
        if (at > 0) ends = [...new Set(ends.flatMap((end) => beforeHalf(this.#wanted, end)))];
      }
      for (const one of ends) found.add(one);
    }
    return [...found];
  }

  /** The same of a token without halves whose end is known, as nearly all are; null for others. */
  #beforeOne(places: readonly number[], texts: readonly string[]): readonly number[] | null {
    const [text] = texts;
    const [end] = places;
    if (text === undefined || end === undefined || places.length > 1 || texts.length > 1) return null;
    if (text === '') return places;
    if (text.length > MAX_SHORT) return null;
    if (text.includes(HALF)) return null;
    const begin = end - text.length;
    for (let at = 0; at < text.length; at += 1) {
      const unit = text.charCodeAt(at);
      if (unit < 0x80 && this.#wanted[begin + at] === unit) continue;
      // Of a text with other characters than ASCII the bytes are more.
      return this.#beforeLiteral(places, Buffer.from(text));
    }
    return [begin];
  }

  #beforeLiteral(ends: readonly number[], piece: Buffer): readonly number[] {
    return ends.flatMap((end) => {
      const begin = end - piece.length;
      return begin >= 0 && this.#wanted.compare(piece, 0, piece.length, begin, end) === 0 ? [begin] : [];
    });
  }
}

/**
 * Where a `�` may begin that ends at a byte. Decoders write one for the beginning of a character that lacks its end, one
 * for each byte of an end that lacks its beginning (Unicode 15, section 3.9, "maximal subpart"), and the character itself
 * is written so, too.
 */
function beforeHalf(wanted: Buffer, end: number): number[] {
  if (end === 0) return [];
  let begin = end - 1;
  while (begin > 0 && !isBegin(wanted, begin)) begin -= 1;
  const isWhole = begin + characterLength(wanted[begin] ?? 0) === end;
  const isItself = isWhole && HALF_BYTES.equals(wanted.subarray(begin, end));
  return [...(end - 1 > begin ? [end - 1] : []), ...(!isWhole || isItself ? [begin] : [])];
}

/** Whether no character goes on at a byte of UTF-8. */
const isBegin = (bytes: Buffer, at: number): boolean => ((bytes[at] ?? 0) & 0xc0) !== 0x80;

/** How many bytes a character has, by its first one. */
const characterLength = (lead: number): number => (lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);

/** How many UTF-16 units some bytes of UTF-8 are. */
function unitsIn(bytes: Buffer, from: number, to: number): number {
  let units = 0;
  for (let at = from; at < to; at += 1) if (isBegin(bytes, at)) units += (bytes[at] ?? 0) >= 0xf0 ? 2 : 1;
  return units;
}
