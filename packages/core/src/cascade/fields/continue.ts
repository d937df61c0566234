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
import { readingJson } from '../../text/json-read.ts';
import type { Sliced } from '../../text/slices.ts';
import { placeAt, readObject } from './places.ts';
import { tokensOf } from './pointer.ts';

/**
 * The text of a draft up to a value, with the answers so far in place of what they answer; values are asked for in the
 * order of the draft, each in a call of its own. What the plan names as absent cannot be asked for like this.
 *
 * It ends in front of the quote that closes the value's name, so that the colon, a string's own quote and the kind of the
 * value are the model's to write: a draft's `"total": "10"` may become `null`. And tokenisers cut between letters and marks
 * but write marks in one (`":"`, `": "`): a text that ends within such a token is one that the model has never seen.
 * Measured with the embedded pair, 422 drafts with one unsure value each: from the name 421 became what the expert's whole
 * answer is, from the colon none had a value at all, from behind the string's quote 421, but then nothing can become null.
 */
export function* continuedText(text: string, path: string, answers: ReadonlyMap<string, string>): Sliced<string> {
  const draft = yield* readObject(text);
  const place = draft.kind === 'whole' ? null : placeAt(draft.root, tokensOf(path));
  if (draft.kind === 'whole' || place === null || place === draft.root)
    throw new RangeError(`a draft has no ${JSON.stringify(path)} to go on with`);
  const earlier = [...answers]
    .map(([one, json]) => ({ place: placeAt(draft.root, tokensOf(one)), json }))
    .filter((one) => one.place !== null && one.place.to <= place.nameFrom)
    .toSorted((left, right) => (left.place?.from ?? 0) - (right.place?.from ?? 0));
  const pieces: string[] = [];
  let at = draft.root.from;
  for (const { place: other, json } of earlier) {
    if (other === null) continue;
    pieces.push(text.slice(at, other.from), json);
    at = other.to;
  }
  return [...pieces, text.slice(at, place.nameTo - 1)].join('');
}

/** What came behind `continuedText`. */
export type ContinuedValue =
  /** As it was written. */
  | { readonly kind: 'value'; readonly json: string }
  /** Its end is not there yet: that of a number, `true`, `false` or `null` shows by what stands behind it. */
  | { readonly kind: 'unfinished' }
  | {
      readonly kind: 'nonsense';
      readonly why: 'begins_anew' | 'another_name' | 'no_json' | 'too_large';
    };

const nonsense = (why: (ContinuedValue & { readonly kind: 'nonsense' })['why']): ContinuedValue => ({
  kind: 'nonsense',
  why,
});

/**
 * The value that a text goes on with. A server may give only what is new, or all of the text again; one cannot be taken
 * for the other, as the text begins with a brace and what is new with the quote that ends the name. What the model wrote
 * beyond the value is cut; a comma or brace must stand next, if anything does, as `1 000` is no 1.
 */
export function* readContinuedValue(before: string, continuation: string): Sliced<ContinuedValue> {
  if (continuation.length > before.length + LIMITS.judgedCharacters) return nonsense('too_large');
  if (continuation.length < before.length && before.startsWith(continuation)) return { kind: 'unfinished' };
  const said = continuation.startsWith(before) ? continuation.slice(before.length) : continuation;
  if (said === '') return { kind: 'unfinished' };
  if (said.charCodeAt(0) !== QUOTE) return nonsense(/^\s*[{[`]/.test(said) ? 'begins_anew' : 'another_name');
  const colon = behindBlanks(said, 1);
  if (colon === said.length) return { kind: 'unfinished' };
  if (said.charCodeAt(colon) !== COLON) return nonsense('no_json');
  const from = behindBlanks(said, colon + 1);
  if (from === said.length) return { kind: 'unfinished' };
  if (endsWord(said.charCodeAt(from))) return nonsense('no_json');
  const to = valueEnd(said, from);
  if (to === 'too_deep') return nonsense('too_large');
  const next = to === null ? said.length : behindBlanks(said, to);
  if (to === null || (next === said.length && !endsItself(said.charCodeAt(from)))) return { kind: 'unfinished' };
  const isNext = next === said.length || said.charCodeAt(next) === COMMA || said.charCodeAt(next) === CLOSE_OBJECT;
  if (!isNext) return nonsense('no_json');
  const json = said.slice(from, to);
  const read = yield* readingJson(json, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues });
  if (read.kind === 'json') return { kind: 'value', json };
  return nonsense(read.kind === 'beyond' ? 'too_large' : 'no_json');
}

const endsItself = (code: number): boolean => code === QUOTE || code === OPEN_OBJECT || code === OPEN_ARRAY;

function behindBlanks(text: string, from: number): number {
  let at = from;
  while (isJsonBlank(text.charCodeAt(at))) at += 1;
  return at;
}

/** Where the value ends that begins here; null: it does not. */
function valueEnd(text: string, from: number): number | null | 'too_deep' {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = stringEnd(text, at) - 1;
      if (at >= text.length) return null;
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth += 1;
    else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth -= 1;
    else if (depth === 0) return wordEnd(text, at);
    if (depth > LIMITS.jsonDepth) return 'too_deep';
    if (depth <= 0) return at + 1;
  }
  return null;
}

/** Behind the quote that ends the string that begins here; beyond the text where there is none. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at + 1;
  }
  return text.length + 1;
}

function wordEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !endsWord(text.charCodeAt(at))) at += 1;
  return at;
}

const endsWord = (code: number): boolean =>
  code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || isJsonBlank(code);
