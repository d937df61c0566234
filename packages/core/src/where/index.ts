export { holding, holds, type Condition, type Fields } from './expression.ts';
export { isResultField, RESULT_FIELDS, resultFields } from './fields.ts';
export { ConditionError, parseWhere } from './parse.ts';
