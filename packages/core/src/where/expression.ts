import { runAtOnce, SLICE_CHARACTERS, type Sliced } from '../text/slices.ts';

/** A condition on the fields of one result, read. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'compare'; readonly field: string; readonly operator: Operator; readonly value: Literal }
  | { readonly kind: 'field'; readonly field: string };

export type Literal = string | number | boolean | null;

export const OPERATORS = ['=', '!=', '<', '<=', '>', '>=', '~', '!~'] as const;
export type Operator = (typeof OPERATORS)[number];

/** The fields of a result, by the names that a condition has for them; undefined: there is no such field. */
export type Fields = (name: string) => unknown;

/**
 * Whether a condition holds. What is null or absent is less, equal or more than nothing but null. A condition may look for
 * many long words in a long answer, so it stops before each term that looks at a long text, and on the way through it.
 */
export function* holding(condition: Condition, fields: Fields): Sliced<boolean> {
  switch (condition.kind) {
    case 'and':
      return (yield* holding(condition.left, fields)) && (yield* holding(condition.right, fields));
    case 'or':
      return (yield* holding(condition.left, fields)) || (yield* holding(condition.right, fields));
    case 'not':
      return !(yield* holding(condition.of, fields));
    case 'field':
      return isTruthy(yield* looking(condition.field, fields));
    case 'compare':
      return yield* comparing((yield* looking(condition.field, fields)) ?? null, condition.operator, condition.value);
  }
}

/** What a field says; to find a long text took its time. */
function* looking(field: string, fields: Fields): Sliced<unknown> {
  const value = fields(field);
  if (typeof value === 'string' && value.length >= LONG) yield;
  return value;
}

/** The same at once, where nobody else waits. */
export const holds = (condition: Condition, fields: Fields): boolean => runAtOnce(holding(condition, fields));

const isTruthy = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && value !== '' && value !== 0;

function* comparing(value: unknown, operator: Operator, wanted: Literal): Sliced<boolean> {
  switch (operator) {
    case '=':
      return isSame(value, wanted);
    case '!=':
      return !isSame(value, wanted);
    case '~':
      return yield* including(value, wanted);
    case '!~':
      return !(yield* including(value, wanted));
    case '<':
    case '<=':
    case '>':
    case '>=':
      return isOrdered(value, operator, wanted);
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));

/** Values of the same kind are compared as they are, others as texts, so that `custom_id = 17` finds the text "17". */
function isSame(value: unknown, wanted: Literal): boolean {
  if (value === null || wanted === null) return value === wanted;
  return typeof value === typeof wanted ? value === wanted : textOf(value) === String(wanted);
}

/** To find one text in another may take the product of their lengths. */
function* including(value: unknown, wanted: Literal): Sliced<boolean> {
  if (value === null) return false;
  const text = lowered(textOf(value));
  const part = String(wanted).toLowerCase();
  if (text.length <= SLICE_CHARACTERS) return text.includes(part);
  for (let from = 0; from < text.length; from += SLICE_CHARACTERS) {
    yield;
    if (text.slice(from, from + SLICE_CHARACTERS + part.length - 1).includes(part)) return true;
  }
  return part === '';
}

/** The last long text in lower case: a condition may look for many words in the same answer. */
let last = { text: '', lower: '' };

function lowered(text: string): string {
  if (text.length < LONG) return text.toLowerCase();
  if (last.text !== text) last = { text, lower: text.toLowerCase() };
  return last.lower;
}

const LONG = 1_000;

function isOrdered(value: unknown, operator: '<' | '<=' | '>' | '>=', wanted: Literal): boolean {
  if (value === null || wanted === null || typeof value === 'object') return false;
  const isText = typeof value === 'string' && typeof wanted === 'string';
  const [left, right] = isText ? [value, wanted] : [Number(value), Number(wanted)];
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}
