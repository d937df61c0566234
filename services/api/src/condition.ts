import { ConditionError, isResultField, parseWhere, type Condition } from '@spillway/core';
import { badRequest } from './errors.ts';

/** The condition that a client gave as some parameter, or a 400 that says what is wrong with it. */
export function conditionOf(text: string, param: string, known: (field: string) => boolean = isResultField): Condition {
  try {
    return parseWhere(text, known);
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    throw badRequest(`Invalid '${param}': ${error.message}.`, { param, code: 'invalid_value' });
  }
}
