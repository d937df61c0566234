import type { Completion } from '../endpoints/completion.ts';
import type { Json } from '../text/json.ts';
import { plainText } from './label.ts';

/**
 * What two answers are compared by: equal JSON values are equal whatever their spacing and the order of their keys,
 * other texts are compared without case, white space and surrounding marks.
 */
function comparable(text: string): string {
  try {
    const value = JSON.parse(text) as Json;
    if (typeof value === 'object' && value !== null) return canonical(value);
  } catch {
    // Not JSON.
  }
  return plainText(text);
}

/** JSON with its keys in order. Without recursion: answers may be nested deep. */
function canonical(value: Json): string {
  const replacer = (_key: string, inner: unknown): unknown =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : inner;
  try {
    return JSON.stringify(value, replacer);
  } catch {
    return '';
  }
}

/** Whether two answers say the same. */
export const sameAnswer = (left: string, right: string): boolean => comparable(left) === comparable(right);

/** The share of all answers, the draft among them, that say what the draft says. */
export function agreementOf(text: string, samples: readonly Completion[]): number {
  const own = comparable(text);
  const same = samples.filter((sample) => sample.text !== null && comparable(sample.text) === own).length;
  return (1 + same) / (1 + samples.length);
}

/** Which of several answers most say, the earliest of those that as many say; an index. */
export function majorityOf(texts: readonly (string | null)[]): number {
  const said = texts.map((text) => (text === null ? null : comparable(text)));
  const votes = said.map((one) => (one === null ? 0 : said.filter((other) => other === one).length));
  return votes.indexOf(Math.max(...votes));
}
