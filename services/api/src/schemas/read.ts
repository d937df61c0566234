import type { z } from 'zod';
import {
  aboveMaximum,
  badRequest,
  belowMinimum,
  invalidType,
  invalidValue,
  missingParameter,
  shown,
  stringTooLong,
  tooManyProperties,
  type ApiError,
} from '../errors.ts';

type Issue = z.core.$ZodIssue;

/** Reads what a client sent, or throws a 400 about the first thing that is wrong with it, in OpenAI's words. */
export function read<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  at: readonly string[] = [],
): z.output<Schema> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw issue === undefined ? badRequest('The request is not valid.') : problemOf(issue, at);
}

function problemOf(issue: Issue, at: readonly string[]): ApiError {
  const param = [...at, ...issue.path.map(String)].map(shown).join('.');
  const { input } = issue;
  if (param === '') return badRequest('The body must be a JSON object.', { code: 'invalid_type' });
  if (input === undefined || input === null) return missingParameter(param);
  if (issue.code === 'invalid_type' && !DEFAULT_MESSAGE.test(issue.message)) {
    return badRequest(`Invalid type for '${param}': ${issue.message}.`, { param, code: 'invalid_type' });
  }
  if (issue.code === 'invalid_type') return invalidType(param, EXPECTED[issue.expected] ?? issue.expected, input);
  if (typeof input === 'number' && !DEFAULT_MESSAGE.test(issue.message)) {
    return badRequest(`Invalid '${param}': ${issue.message}.`, { param, code: 'invalid_value' });
  }
  if (issue.code === 'too_big') return tooBig(param, issue, input);
  if (issue.code === 'too_small') return tooSmall(param, issue, input);
  if (issue.code === 'invalid_key') return keyTooLong(param, issue, input);
  if (issue.code === 'invalid_value' || issue.code === 'custom') {
    if (typeof input !== 'string') return invalidType(param, 'a string', input);
    const supported =
      issue.code === 'custom' ? issue.message : issue.values.map((one) => `'${String(one)}'`).join(', ');
    return invalidValue(param, input, supported);
  }
  return badRequest(`Invalid '${param}': ${issue.message}.`, { param, code: 'invalid_value' });
}

/** Where a schema says nothing of its own. */
const DEFAULT_MESSAGE = /^(?:Invalid input|Too small|Too big)/;

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a string',
  int: 'an integer',
  number: 'an integer',
  object: 'an object',
  record: 'an object',
  array: 'an array',
};

function tooBig(param: string, issue: z.core.$ZodIssueTooBig, input: unknown): ApiError {
  const most = Number(issue.maximum);
  if (typeof input === 'string') return stringTooLong(param, most, characters(input));
  if (Array.isArray(input)) {
    const message = `Invalid '${param}': array too long. Expected an array with maximum length ${most}, but got an array with length ${input.length} instead.`;
    return badRequest(message, { param, code: 'array_above_max_length' });
  }
  if (typeof input === 'object' && input !== null) {
    return tooManyProperties(param, most, Object.keys(input).length);
  }
  return aboveMaximum(param, most, shownNumber(input));
}

function tooSmall(param: string, issue: z.core.$ZodIssueTooSmall, input: unknown): ApiError {
  if (typeof input === 'string')
    return badRequest(`Invalid '${param}': empty string.`, { param, code: 'empty_string' });
  if (Array.isArray(input)) return badRequest(`Invalid '${param}': empty array.`, { param, code: 'empty_array' });
  return belowMinimum(param, Number(issue.minimum), shownNumber(input));
}

function keyTooLong(param: string, issue: z.core.$ZodIssueInvalidKey, input: unknown): ApiError {
  const [inner] = issue.issues;
  const most = inner?.code === 'too_big' ? Number(inner.maximum) : 0;
  const message =
    `Invalid '${parentOf(param)}': the name of a property is too long. ` +
    `Expected at most ${most} characters, but got ${characters(String(input))} instead.`;
  return badRequest(message, { param: parentOf(param), code: 'string_above_max_length' });
}

const parentOf = (param: string): string => param.split('.')[0] ?? param;

const shownNumber = (input: unknown): string =>
  typeof input === 'number'
    ? input.toLocaleString('en', { useGrouping: false, maximumFractionDigits: 20 }).slice(0, 32)
    : '';

/** Characters as the hosted API counts them: one for each code point. */
export function characters(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; count += 1) at += (text.codePointAt(at) ?? 0) > 0xff_ff ? 2 : 1;
  return count;
}
