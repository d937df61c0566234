import { definitionsIn, definitionTokens } from '../../confidence/json-schema.ts';
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

/** Whether parts of a schema mean the same in another document that has its definitions. */
export function areMovable(parts: readonly (JsonObject | undefined)[], document: JsonObject | null): boolean {
  const references = referencesOf(parts.filter((part) => part !== undefined));
  if (references !== 'definitions') return references === 'none';
  return document !== null && referencesOf(definitionsIn(document)) !== 'elsewhere';
}

/** Whether parts of a schema name definitions of its document. */
export const nameDefinitions = (parts: readonly Json[]): boolean => referencesOf(parts) !== 'none';

/** Whether a schema says anything of what kind of value it takes; else the draft's kind is all that there is to go by. */
export const saysKind = (schema: Json | undefined): boolean =>
  isJsonObject(schema) &&
  ['type', 'enum', 'const', '$ref', 'anyOf', 'oneOf', 'allOf'].some((key) => Object.hasOwn(schema, key));
