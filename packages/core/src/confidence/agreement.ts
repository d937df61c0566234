import type { Completion } from '../endpoints/completion.ts';
import { LIMITS } from '../limits.ts';
import { readingJson } from '../text/json-read.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { runAtOnce, type Sliced } from '../text/slices.ts';
import { plainText } from './plain-text.ts';

/** JSON is compared as JSON up to so many values; what has more is compared as it is written. */
const MAX_COMPARED = { depth: LIMITS.jsonDepth, values: 10_000 };

/**
 * What two answers are compared by: equal JSON values are equal whatever their spacing and the order of their keys,
 * other texts are compared without case, white space and surrounding marks. What is too large for either is itself.
 */
function* comparable(text: string): Sliced<string> {
  if (text.length > LIMITS.judgedCharacters) return text;
  yield;
  if (!/^\s*[[{]/.test(text)) return plainText(text);
  const read = yield* readingJson(text, MAX_COMPARED);
  if (read.kind === 'beyond') return text;
  return read.kind === 'json' ? JSON.stringify(read.value, inOrder) : plainText(text);
}

/** The members of an object in the order of their names. */
const inOrder = (_name: string, value: Json): Json => (isJsonObject(value) ? ordered(value) : value);
const ordered = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).toSorted(([left], [right]) => (left < right ? -1 : 1)));

/** Whether two answers say the same. */
export const sameAnswer = (left: string, right: string): boolean =>
  runAtOnce(comparable(left)) === runAtOnce(comparable(right));

/** The share of all answers, the draft among them, that say what the draft says. */
export function* agreementOf(text: string, samples: readonly Completion[]): Sliced<number> {
  const own = yield* comparable(text);
  let same = 1;
  for (const sample of samples) if (sample.text !== null && (yield* comparable(sample.text)) === own) same += 1;
  return same / (1 + samples.length);
}

/** Which of several answers most say, the earliest of those that as many say; an index. */
export function* majorityOf(texts: readonly (string | null)[]): Sliced<number> {
  const said: (string | null)[] = [];
  for (const text of texts) said.push(text === null ? null : yield* comparable(text));
  const votes = said.map((one) => (one === null ? 0 : said.filter((other) => other === one).length));
  return votes.indexOf(Math.max(...votes));
}
