import { isJsonObject, type Json, type JsonObject } from '../../text/json.ts';

/**
 * A continuation is asked for without the request's schema, whose grammar would begin anew in its middle: so nobody holds
 * it to that schema but whoever joins it. That is done for schemas of these keywords alone, all of which are looked at.
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

const DEFINITION = /^#\/(\$defs|definitions)\/([^/]+)$/;

/** Whether all that a schema says of a value is looked at. Recursion is bounded by `MAX_DEPTH`. */
export function isChecked(schema: Json | undefined, depth = 0): boolean {
  if (schema === undefined || typeof schema === 'boolean') return true;
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return false;
  if (Object.keys(schema).some((key) => !CHECKED.has(key) && !REMARKS.has(key))) return false;
  const { $ref: reference, additionalProperties: others, items, anyOf, oneOf, allOf } = schema;
  if (reference !== undefined && (typeof reference !== 'string' || !DEFINITION.test(reference))) return false;
  if (Array.isArray(items)) return false;
  const lists = [anyOf, oneOf, allOf].flatMap((list) => (Array.isArray(list) ? (list as Json[]) : []));
  const named = [schema['properties'], schema['$defs'], schema['definitions']].flatMap((one) =>
    isJsonObject(one) ? Object.values(one) : [],
  );
  return [others, items, ...lists, ...named].every((inner) => isChecked(inner, depth + 1));
}

/** Whether a value breaks a schema of which `isChecked` is true; `document` holds the definitions. */
export function breaksSchema(value: Json, schema: Json | undefined, document: JsonObject, depth = 0): boolean {
  if (schema === undefined || schema === true) return false;
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return true;
  const breaks = (inner: Json | undefined): boolean => breaksSchema(value, inner, document, depth + 1);
  const { type, $ref: reference, allOf, enum: values, const: only } = schema;
  if (type !== undefined && !(Array.isArray(type) ? (type as Json[]) : [type]).some((one) => hasType(value, one))) {
    return true;
  }
  if (Array.isArray(values) && !values.some((one: Json) => isSame(one, value))) return true;
  if (only !== undefined && !isSame(only, value)) return true;
  if (typeof reference === 'string' && breaks(definitionOf(reference, document))) return true;
  if (Array.isArray(allOf) && allOf.some(breaks)) return true;
  if ([schema['anyOf'], schema['oneOf']].some((choice) => Array.isArray(choice) && choice.every(breaks))) return true;
  if (Array.isArray(value)) {
    return value.some((item: Json) => breaksSchema(item, schema['items'], document, depth + 1));
  }
  return isJsonObject(value) && breaksObject(value, schema, document, depth);
}

function breaksObject(value: JsonObject, schema: JsonObject, document: JsonObject, depth: number): boolean {
  const required = Array.isArray(schema['required']) ? (schema['required'] as Json[]) : [];
  if (required.some((name) => typeof name !== 'string' || !Object.hasOwn(value, name))) return true;
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  return Object.entries(value).some(([name, member]) =>
    breaksSchema(
      member,
      Object.hasOwn(properties, name) ? properties[name] : schema['additionalProperties'],
      document,
      depth + 1,
    ),
  );
}

/** A definition that is not there takes nothing. */
function definitionOf(reference: string, document: JsonObject): Json {
  const [, place = '', name = ''] = DEFINITION.exec(reference) ?? [];
  const definitions = document[place];
  return isJsonObject(definitions) && Object.hasOwn(definitions, name) ? (definitions[name] ?? false) : false;
}

function hasType(value: Json, type: Json): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isJsonObject(value);
  if (type === 'integer') return Number.isInteger(value);
  return (type === 'string' || type === 'number' || type === 'boolean') && typeof value === type;
}

const isSame = (left: Json, right: Json): boolean => left === right || JSON.stringify(left) === JSON.stringify(right);
