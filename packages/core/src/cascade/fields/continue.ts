import { LIMITS } from '../../limits.ts';
import { CLOSE_OBJECT, COMMA, isJsonBlank } from '../../text/json-codes.ts';
import { readingJson } from '../../text/json-read.ts';
import { SLICE_CHARACTERS, type Sliced } from '../../text/slices.ts';
import { ContinuedScan } from './continued-scan.ts';
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
  const scan = new ContinuedScan(before);
  for (let at = 0; at < continuation.length; at += SLICE_CHARACTERS) {
    if (at > 0) yield;
    if (scan.push(continuation.slice(at, at + SLICE_CHARACTERS))) break;
  }
  if (scan.over === null) return { kind: 'unfinished' };
  if (scan.over === 'no_name') {
    const said = continuation.startsWith(before) ? continuation.slice(before.length) : continuation;
    return nonsense(/^\s*[{[`]/.test(said) ? 'begins_anew' : 'another_name');
  }
  if (scan.over !== 'value') return nonsense(scan.over === 'too_deep' ? 'too_large' : 'no_json');
  const { from, to } = scan;
  const next = behindBlanks(continuation, to);
  const code = continuation.charCodeAt(next);
  if (next < continuation.length && code !== COMMA && code !== CLOSE_OBJECT) return nonsense('no_json');
  const json = continuation.slice(from, to);
  const read = yield* readingJson(json, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues });
  if (read.kind === 'json') return { kind: 'value', json };
  return nonsense(read.kind === 'beyond' ? 'too_large' : 'no_json');
}

function behindBlanks(text: string, from: number): number {
  let at = from;
  while (isJsonBlank(text.charCodeAt(at))) at += 1;
  return at;
}
