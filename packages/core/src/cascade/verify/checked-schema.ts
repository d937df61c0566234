import { definitionTokens } from '../../confidence/json-schema.ts';
import { isJsonObject, type Json } from '../../text/json.ts';

/**
 * A continuation is asked for without the request's schema, whose grammar would begin anew in its middle: so nobody holds
 * it to that schema but whoever joins it. That is done for schemas of these keywords alone, which `fitsSchema` looks at.
 */
const CHECKED: ReadonlySet<string> = new Set([
  'type',
  'enum',
  'const',
  'required',
  'properties',
  'additionalProperties',
  'items',
  'anyOf',
  'oneOf',
  'allOf',
  '$ref',
  '$defs',
  'definitions',
]);

/** Keywords that say nothing of what a value may be. */
const REMARKS: ReadonlySet<string> = new Set([
  '$schema',
  '$id',
  '$comment',
  'title',
  'description',
  'default',
  'example',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
]);

/** Schemas are a few levels deep; what is deeper is not looked at, and so is not held to. */
const MAX_DEPTH = 32;

const TYPES: ReadonlySet<Json | undefined> = new Set([
  'array',
  'boolean',
  'integer',
  'null',
  'number',
  'object',
  'string',
]);

/** Whether all that a schema says of a value is looked at. Recursion is bounded by `MAX_DEPTH`. */
export function isChecked(schema: Json | undefined, depth = 0): boolean {
  if (schema === undefined || typeof schema === 'boolean') return true;
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return false;
  if (Object.keys(schema).some((key) => !CHECKED.has(key) && !REMARKS.has(key))) return false;
  const { type, $ref: reference, additionalProperties: others, items, anyOf, oneOf, allOf } = schema;
  const isLocal = typeof reference === 'string' && definitionTokens(reference) !== null;
  if ((reference !== undefined && !isLocal) || Array.isArray(items)) return false;
  const types: readonly (Json | undefined)[] = Array.isArray(type) ? type : type === undefined ? [] : [type];
  if (types.some((one) => !TYPES.has(one))) return false;
  const lists = [anyOf, oneOf, allOf].flatMap((list) => (Array.isArray(list) ? (list as Json[]) : []));
  const named = [schema['properties'], schema['$defs'], schema['definitions']].flatMap((one) =>
    isJsonObject(one) ? Object.values(one) : [],
  );
  return [others, items, ...lists, ...named].every((inner) => isChecked(inner, depth + 1));
}
