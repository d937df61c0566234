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

/** Whether a condition holds. What is null or absent is less, equal or more than nothing but null. */
export function holds(condition: Condition, fields: Fields): boolean {
  switch (condition.kind) {
    case 'and':
      return holds(condition.left, fields) && holds(condition.right, fields);
    case 'or':
      return holds(condition.left, fields) || holds(condition.right, fields);
    case 'not':
      return !holds(condition.of, fields);
    case 'field':
      return isTruthy(fields(condition.field));
    case 'compare':
      return compares(fields(condition.field) ?? null, condition.operator, condition.value);
  }
}

const isTruthy = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && value !== '' && value !== 0;

function compares(value: unknown, operator: Operator, wanted: Literal): boolean {
  switch (operator) {
    case '=':
      return isSame(value, wanted);
    case '!=':
      return !isSame(value, wanted);
    case '~':
      return includes(value, wanted);
    case '!~':
      return !includes(value, wanted);
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

const includes = (value: unknown, wanted: Literal): boolean =>
  value !== null && lowered(textOf(value)).includes(String(wanted).toLowerCase());

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
