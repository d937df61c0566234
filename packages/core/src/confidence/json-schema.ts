import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

/** Schemas that users write are a few levels deep; deeper levels are not looked at. */
const MAX_DEPTH = 32;

/**
 * Whether a value breaks a JSON schema, as far as the keywords `type`, `enum`, `const`, `required`, `properties`,
 * `additionalProperties: false` and `items` say so. Other keywords (`$ref`, `anyOf`, `pattern`, …) are not looked
 * at: the question is only whether a draft is visibly not what was asked for, and a doubt is no reason to escalate.
 */
export function missesSchema(value: Json, schema: Json | undefined, depth = 0): boolean {
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return false;
  if ('type' in schema && !hasType(value, schema['type'])) return true;
  if (Array.isArray(schema['enum']) && !schema['enum'].some((one: Json) => sameJson(one, value))) return true;
  if (schema['const'] !== undefined && !sameJson(schema['const'], value)) return true;
  if (isJsonObject(value)) return missesObject(value, schema, depth);
  if (Array.isArray(value)) return value.some((item: Json) => missesSchema(item, schema['items'], depth + 1));
  return false;
}

function missesObject(value: JsonObject, schema: JsonObject, depth: number): boolean {
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  if (required.some((key: Json) => typeof key === 'string' && !Object.hasOwn(value, key))) return true;
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  const closed = schema['additionalProperties'] === false && !('patternProperties' in schema);
  return Object.entries(value).some(([key, inner]) =>
    Object.hasOwn(properties, key) ? missesSchema(inner, properties[key], depth + 1) : closed,
  );
}

function hasType(value: Json, type: Json | undefined): boolean {
  if (Array.isArray(type)) return type.length === 0 || type.some((one: Json) => hasType(value, one));
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isJsonObject(value);
  if (type === 'integer') return Number.isInteger(value);
  const isScalar = type === 'boolean' || type === 'number' || type === 'string';
  return isScalar ? typeof value === type : true;
}

/** Equality of scalars, and of anything else by its text: enough for `enum` and `const`, whose order is as written. */
function sameJson(left: Json, right: Json): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}
