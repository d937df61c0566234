import { z } from 'zod';
import { ENDPOINTS, type EndpointUrl } from '../endpoints/index.ts';
import { LIMITS } from '../limits.ts';
import { runAtOnce } from '../text/slices.ts';
import { readingJson } from '../text/json-read.ts';
import type { Json, JsonObject } from '../text/json.ts';
import { sameAnswer } from './agreement.ts';
import { jsonValues } from './json-values.ts';
import { plainText, withoutStop } from './plain-text.ts';

/** Ways of comparing two answers that are written by one word. */
const MEASURES = ['exact', 'json', 'judge'] as const;

/**
 * When two answers are the same: `exact` as texts without case, white space and surrounding marks; `json` as JSON values;
 * `judge` where the expert says so in one token; `label` where both say the same of these labels. A cascade that says
 * nothing compares JSON as JSON, and everything else as texts.
 */
export const agreementRule = z.union(
  [z.enum(MEASURES), z.strictObject({ label: z.array(z.string().min(1)).min(2) })],
  `expected one of ${MEASURES.join(', ')}, or { label: [yes, no] } with the labels there are`,
);
export type AgreementRule = z.output<typeof agreementRule>;

/** Folding and reading more takes tens of milliseconds: longer answers are the same only as they are written. */
const MAX_COMPARED_CHARACTERS = 128 * 1024;

/** Whether two answers are the same by a rule; of `judge`, whether they are so without asking anybody. */
export function agrees(rule: AgreementRule | undefined, left: string, right: string): boolean {
  if (Math.max(left.length, right.length) > MAX_COMPARED_CHARACTERS) return left === right;
  if (typeof rule === 'object') {
    const label = labelIn(left, rule.label);
    return label !== null && label === labelIn(right, rule.label);
  }
  if (rule === 'exact') return plainText(left) === plainText(right);
  if (rule === 'json') return isComparedJson(left) && isComparedJson(right) && sameAnswer(left, right);
  return sameAnswer(left, right);
}

function labelIn(text: string, labels: readonly string[]): string | null {
  const said = withoutStop(plainText(text));
  return labels.find((label) => plainText(label) === said) ?? null;
}

/** JSON is compared value by value up to so many. */
const MAX_COMPARED = { depth: LIMITS.jsonDepth, values: 10_000 };

const readJsonText = (text: string): Json | undefined => {
  if (text.length > MAX_COMPARED_CHARACTERS) return undefined;
  const read = runAtOnce(readingJson(text, MAX_COMPARED));
  return read.kind === 'json' ? read.value : undefined;
};

const isComparedJson = (text: string): boolean => readJsonText(text) !== undefined;

/** The scalars of a JSON answer by their JSON pointers, as they are written; null: it is none, or too large. */
function valuesIn(text: string): Map<string, string> | null {
  if (!isComparedJson(text)) return null;
  const bytes = Buffer.from(text);
  return new Map(jsonValues(bytes).map(({ path, from, to }) => [path, bytes.toString('utf8', from, to)]));
}

/**
 * The values in which two JSON answers differ, by JSON pointer; null: they are not two JSON answers of the same values, so
 * that they cannot be compared one by one. A value that is written otherwise differs, as 1.0 from 1.
 */
export function differingValues(left: string, right: string): readonly string[] | null {
  const [own, other] = [valuesIn(left), valuesIn(right)];
  if (own === null || other === null || own.size !== other.size) return null;
  if (![...own.keys()].every((path) => other.has(path))) return null;
  return [...own].flatMap(([path, value]) => (other.get(path) === value ? [] : [path]));
}

const QUESTION = (other: string): string =>
  `Somebody else gave this answer to the same request:\n\n${other}\n\nDoes it say the same as your answer above, however ` +
  'it is worded? Reply with one letter and nothing else: Y if it does, N if it does not.';

/** The request that asks a model whether another answer means what its own does; null where it has no place for that. */
export const comparisonRequest = (
  endpoint: EndpointUrl,
  body: JsonObject,
  { own, other }: { readonly own: string; readonly other: string },
): JsonObject | null => ENDPOINTS[endpoint].followUp(body, own, QUESTION(other), 1);
