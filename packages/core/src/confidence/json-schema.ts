import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

/** Schemas that users write are a few levels deep, references included; deeper levels are not looked at. */
const MAX_DEPTH = 32;

/**
 * Of a schema and a value together so many places are looked at: about 50 ms. Two choices that each name the same two
 * would otherwise take 2 to the power of the depth.
 */
const MAX_STEPS = 200_000;

/** Where schemas are kept that others name. */
const DEFINITIONS = ['$defs', 'definitions'] as const;

/** `unknown`: it is not broken as far as it was looked at, which was not all of it. */
export type SchemaFit = 'fits' | 'misses' | 'unknown';

/**
 * Whether a value is what a JSON schema asks for, as far as `type`, `enum`, `const`, `required`, `properties`,
 * `additionalProperties`, `items`, `allOf`, `anyOf`, `oneOf` (as `anyOf`) and `$ref` to definitions of the `document` say
 * so. Other keywords (`pattern`, `minimum`, …) are not looked at.
 */
export function fitsSchema(value: Json, schema: Json | undefined, document: Json | undefined = schema): SchemaFit {
  const walk = new SchemaWalk(isJsonObject(document) ? document : {});
  if (walk.misses(value, schema, 0)) return 'misses';
  return walk.isCut ? 'unknown' : 'fits';
}

/** Whether a value is visibly not what was asked for: a doubt is no reason to escalate. */
export const missesSchema = (value: Json, schema: Json | undefined, document: Json | undefined = schema): boolean =>
  fitsSchema(value, schema, document) === 'misses';

/** `#/$defs/Name` and `#/definitions/Name`, as generators write them; null: another reference. */
export function definitionTokens(reference: string): readonly [place: string, name: string] | null {
  const [root, place = '', name, ...more] = reference.split('/');
  if (root !== '#' || name === undefined || more.length > 0 || /[~%]/.test(name)) return null;
  return DEFINITIONS.some((known) => known === place) ? [place, name] : null;
}

/** The definitions of a document, which parts of its schema may name. */
export const definitionsIn = (document: JsonObject): JsonObject =>
  Object.fromEntries(DEFINITIONS.flatMap((key) => (document[key] === undefined ? [] : [[key, document[key]]])));

class SchemaWalk {
  readonly #document: JsonObject;
  readonly #texts = new WeakMap<object, string>();
  #steps = 0;
  /** Something was not looked at. */
  isCut = false;

  constructor(document: JsonObject) {
    this.#document = document;
  }

  misses(value: Json, schema: Json | undefined, depth: number): boolean {
    if (schema === false) return true;
    if (!isJsonObject(schema)) return false;
    this.#steps += 1;
    if (depth > MAX_DEPTH || this.#steps > MAX_STEPS) {
      this.isCut = true;
      return false;
    }
    if ('type' in schema && !hasType(value, schema['type'])) return true;
    if (Array.isArray(schema['enum']) && !schema['enum'].some((one: Json) => this.#isSame(one, value))) return true;
    if (schema['const'] !== undefined && !this.#isSame(schema['const'], value)) return true;
    if (this.#missesChoice(value, schema, depth + 1)) return true;
    if (isJsonObject(value)) return this.#missesObject(value, schema, depth + 1);
    if (!Array.isArray(value) || schema['items'] === undefined) return false;
    return value.some((item: Json) => this.misses(item, schema['items'], depth + 1));
  }

  #missesChoice(value: Json, { $ref: reference, allOf, anyOf, oneOf }: JsonObject, depth: number): boolean {
    const misses = (inner: Json | undefined): boolean => this.misses(value, inner, depth);
    if (typeof reference === 'string' && misses(this.#definition(reference))) return true;
    if (Array.isArray(allOf) && allOf.some(misses)) return true;
    return [anyOf, oneOf].some((choice) => Array.isArray(choice) && choice.length > 0 && choice.every(misses));
  }

  #missesObject(value: JsonObject, schema: JsonObject, depth: number): boolean {
    const required = Array.isArray(schema['required']) ? schema['required'] : [];
    if (required.some((key: Json) => typeof key === 'string' && !Object.hasOwn(value, key))) return true;
    const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
    const others = 'patternProperties' in schema ? undefined : schema['additionalProperties'];
    return Object.entries(value).some(([key, inner]) =>
      this.misses(inner, Object.hasOwn(properties, key) ? properties[key] : others, depth),
    );
  }

  /** Equality of scalars, and of anything else by its text: enough for `enum` and `const`, whose order is as written. */
  #isSame(left: Json, right: Json): boolean {
    if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return left === right;
    return this.#textOf(left) === this.#textOf(right);
  }

  /** Each is written once, however often it is compared. */
  #textOf(value: object): string {
    const known = this.#texts.get(value) ?? JSON.stringify(value);
    this.#texts.set(value, known);
    return known;
  }

  /** One that is not there says nothing. */
  #definition(reference: string): Json | undefined {
    const [place, name] = definitionTokens(reference) ?? [];
    const definitions = place === undefined ? undefined : this.#document[place];
    const found = isJsonObject(definitions) && name !== undefined && Object.hasOwn(definitions, name);
    if (!found) this.isCut = true;
    return found ? definitions[name] : undefined;
  }
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
