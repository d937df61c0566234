import { missesSchema } from '../../confidence/json-schema.ts';
import { isJsonObject, type Json, type JsonObject } from '../../text/json.ts';

/**
 * What lets one member of an object decide about another, or chooses between shapes of it. An object with one of these
 * is asked for as a whole.
 */
const DEPENDENT = [
  '$dynamicRef',
  '$recursiveRef',
  '$ref',
  'allOf',
  'anyOf',
  'const',
  'dependencies',
  'dependentRequired',
  'dependentSchemas',
  'discriminator',
  'else',
  'enum',
  'if',
  'maxProperties',
  'minProperties',
  'not',
  'oneOf',
  'patternProperties',
  'propertyNames',
  'then',
  'unevaluatedProperties',
] as const;

/** Whether the values of an object of this schema can be told apart from each other: it is an object and nothing else. */
export function isSplittable(schema: Json | undefined): schema is JsonObject {
  if (!isJsonObject(schema) || DEPENDENT.some((key) => Object.hasOwn(schema, key))) return false;
  return schema['type'] === 'object' || schema['type'] === undefined;
}

/** The schema of a member that an object's schema lists; undefined: it does not. */
export function memberSchema(schema: Json | undefined, name: string): Json | undefined {
  const properties = isJsonObject(schema) ? schema['properties'] : undefined;
  return isJsonObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** The schema of what a pointer leads to through listed members. */
export const schemaAt = (schema: Json | undefined, tokens: readonly string[]): Json | undefined =>
  tokens.reduce(memberSchema, schema);

export function requiredBy(schema: JsonObject): ReadonlySet<string> {
  const required = Array.isArray(schema['required']) ? (schema['required'] as readonly Json[]) : [];
  return new Set(required.filter((name) => typeof name === 'string'));
}

/** Where schemas are kept that others name. */
const DEFINITIONS = ['$defs', 'definitions'] as const;

/** What says that names within a schema are not those of its document. */
const BASES = ['$id', '$anchor', '$dynamicAnchor', '$dynamicRef', '$recursiveAnchor', '$recursiveRef'] as const;

/** What a schema names: nothing, what the definitions of its document say, or what may be anywhere. */
type References = 'none' | 'definitions' | 'elsewhere';

/** Looks at all that is in a schema, whatever keyword it belongs to: what looks like a reference is taken for one. */
function referencesOf(schema: Json): References {
  let found: References = 'none';
  const left: Json[] = [schema];
  while (left.length > 0) {
    const at = left.pop();
    if (typeof at !== 'object' || at === null) continue;
    if (isJsonObject(at)) {
      const { $ref: name } = at;
      if (BASES.some((key) => typeof at[key] === 'string')) return 'elsewhere';
      if (typeof name === 'string' && definitionTokens(name) === null) return 'elsewhere';
      if (typeof name === 'string') found = 'definitions';
    }
    for (const inner of Object.values(at)) left.push(inner);
  }
  return found;
}

/** The definitions of a document, which parts of its schema may name. */
export const definitionsIn = (document: JsonObject): JsonObject =>
  Object.fromEntries(DEFINITIONS.flatMap((key) => (document[key] === undefined ? [] : [[key, document[key]]])));

/** Whether parts of a schema mean the same in another document that has its definitions. */
export function areMovable(parts: readonly (JsonObject | undefined)[], document: JsonObject | null): boolean {
  const references = referencesOf(parts.filter((part) => part !== undefined));
  if (references !== 'definitions') return references === 'none';
  return document !== null && referencesOf(definitionsIn(document)) !== 'elsewhere';
}

/** Whether parts of a schema name definitions of its document. */
export const nameDefinitions = (parts: readonly Json[]): boolean => referencesOf(parts) !== 'none';

/** `#/$defs/Name` and `#/definitions/Name`, as generators write them. */
function definitionTokens(reference: string): readonly [place: string, name: string] | null {
  const [root, place = '', name, ...more] = reference.split('/');
  if (root !== '#' || name === undefined || more.length > 0 || /[~%]/.test(name)) return null;
  return DEFINITIONS.some((known) => known === place) ? [place, name] : null;
}

/** As deep as schemas name others, and no deeper. */
const MAX_DEPTH = 32;

/**
 * Whether a value breaks the schema of its place: as far as `missesSchema` looks, and also through `$ref` to definitions,
 * `anyOf`, `oneOf` and `allOf` of the place itself, by which generators write enumerations and values that may be null.
 */
export function missesPlace(value: Json, schema: Json | undefined, document: JsonObject, depth = 0): boolean {
  if (schema === false || missesSchema(value, schema)) return true;
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return false;
  const misses = (inner: Json | undefined): boolean => missesPlace(value, inner, document, depth + 1);
  const { $ref: reference, allOf, anyOf, oneOf } = schema;
  if (typeof reference === 'string' && misses(definitionOf(reference, document))) return true;
  if (Array.isArray(allOf) && allOf.some(misses)) return true;
  return [anyOf, oneOf].some((choice) => Array.isArray(choice) && choice.length > 0 && choice.every(misses));
}

function definitionOf(reference: string, document: JsonObject): Json | undefined {
  const [place, name] = definitionTokens(reference) ?? [];
  const definitions = place === undefined ? undefined : document[place];
  return isJsonObject(definitions) && name !== undefined && Object.hasOwn(definitions, name)
    ? definitions[name]
    : undefined;
}

/** Whether a schema says anything of what kind of value it takes; else the draft's kind is all that there is to go by. */
export const saysKind = (schema: Json | undefined): boolean =>
  isJsonObject(schema) &&
  ['type', 'enum', 'const', '$ref', 'anyOf', 'oneOf', 'allOf'].some((key) => Object.hasOwn(schema, key));
