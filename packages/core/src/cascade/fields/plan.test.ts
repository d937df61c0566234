import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../limits.ts';
import type { Json, JsonObject } from '../../text/json.ts';
import { runAtOnce } from '../../text/slices.ts';
import { readObject } from './places.ts';
import { MAX_FIELDS_ASKED, planFields, type FieldsPlan, type Whole } from './plan.ts';
import { MAX_PATH_CHARACTERS } from './pointer.ts';

const withSchema = (schema: Json): JsonObject => ({
  messages: [{ role: 'user', content: 'x' }],
  response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
});

/** The plan for a text in which these paths are unsure. */
function planOf(text: string, unsure: readonly string[], request: JsonObject = {}): FieldsPlan | Whole {
  const read = runAtOnce(readObject(text));
  const scalars = read.kind === 'whole' ? [] : read.scalars;
  for (const path of unsure) assert.ok(scalars.some((place) => place.path === path) || read.kind === 'whole', path);
  const fields = scalars.map(({ path }) => ({ path, isSure: !unsure.includes(path) }));
  return runAtOnce(planFields({ text, fields, endpoint: '/v1/chat/completions', request }));
}

const asked = (text: string, unsure: readonly string[], request: JsonObject = {}): unknown => {
  const plan = planOf(text, unsure, request);
  if (plan.kind === 'whole') return plan.reason;
  return plan.absent.length === 0 ? plan.paths : [plan.paths, plan.absent];
};

const text = { type: 'string' } as const;
const object = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
});

test('unsure values are asked for by themselves, in the order of the draft', () => {
  const draft = '{"a": 1, "b": {"c": "x", "d": {"~/": null}}, "e": true}';
  assert.deepEqual(asked(draft, ['/e', '/b/d/~0~1']), ['/b/d/~0~1', '/e']);
  assert.deepEqual(asked('{"":1,"__proto__":{"":2},"b":3}', ['/__proto__/', '/']), ['/', '/__proto__/']);
});

test('what cannot be taken apart is asked for whole', () => {
  assert.equal(asked('[1,2]', []), 'no_object');
  assert.equal(asked('"a"', []), 'no_object');
  assert.equal(asked('{"a":1', []), 'no_object');
  assert.equal(asked('```json\n{"a":1}\n```', []), 'no_object');
  assert.equal(asked('{"a":1,"b":2,"a":3}', []), 'repeated_names');
  assert.equal(asked(String.raw`{"a":1,"b":[{"c":1,"\u0063":2}]}`, []), 'repeated_names');
  assert.equal(asked(`{"a":1,"b":"${'x'.repeat(LIMITS.judgedCharacters)}"}`, []), 'too_large');
  assert.equal(asked(`{"a":1,"b":${'['.repeat(LIMITS.jsonDepth)}${']'.repeat(LIMITS.jsonDepth)}}`, []), 'too_large');
  assert.equal(asked('{}', []), 'not_judged');
  assert.equal(asked('{"a":1,"b":2}', ['/a', '/b']), 'all_unsure');
  assert.equal(asked('{"a":1,"b":2}', []), 'none_unsure');
  const fields = [{ path: '/a', isSure: false }];
  const drafted = { text: '{"a":1,"b":2}', fields, endpoint: '/v1/completions', request: {} } as const;
  assert.deepEqual(runAtOnce(planFields(drafted)), { kind: 'whole', reason: 'not_judged' });
  assert.deepEqual(asked('{"a":1,"b":2}', ['/a'], { grammar: null }), ['/a']);
});

test('so many values are asked for and no more, and none by a name as long as a page', () => {
  const names = Array.from({ length: MAX_FIELDS_ASKED + 2 }, (_, at) => `n${at}`);
  const draft = JSON.stringify(Object.fromEntries(names.map((name) => [name, 1])));
  const paths = names.map((name) => `/${name}`);
  assert.deepEqual(asked(draft, paths.slice(0, MAX_FIELDS_ASKED)), paths.slice(0, MAX_FIELDS_ASKED));
  assert.equal(asked(draft, paths.slice(0, MAX_FIELDS_ASKED + 1)), 'too_many_unsure');
  const name = 'x'.repeat(MAX_PATH_CHARACTERS);
  assert.equal(asked(JSON.stringify({ [name]: 1, b: 2 }), [`/${name}`]), 'long_names');
  assert.deepEqual(asked(JSON.stringify({ [name]: 1, b: 2 }), ['/b']), ['/b']);
});

test('of an unsure value in arrays the outermost one is asked for', () => {
  const draft = '{"a":{"items":[{"sum":1,"tags":["x","y"]},{"sum":2}]},"b":1}';
  assert.deepEqual(asked(draft, ['/a/items/0/tags/1']), ['/a/items']);
  assert.deepEqual(asked(draft, ['/a/items/0/tags/1', '/a/items/1/sum']), ['/a/items']);
  assert.equal(asked(draft, ['/a/items/0/sum', '/b']), 'all_unsure');
});

test('what is empty was not scored, and is asked for along with what is unsure', () => {
  assert.deepEqual(asked('{"a":1,"b":[],"c":{"d":{},"e":2},"f":3}', ['/f']), ['/b', '/c/d', '/f']);
  assert.deepEqual(asked('{"a":1,"b":[1,[]],"c":2}', ['/a']), ['/a', '/b']);
  assert.equal(asked('{"a":1,"b":[]}', []), 'none_unsure');
});

test('an object that a schema chooses or lets depend on its members is asked for as a whole', () => {
  const draft = '{"a":{"kind":"x","b":{"c":1}},"d":1}';
  const inner = object({ kind: text, b: object({ c: { type: 'number' } }) });
  const schema = (own: Json): JsonObject => withSchema(object({ a: own, d: { type: 'number' } }));
  assert.deepEqual(asked(draft, ['/a/b/c'], schema(inner)), ['/a/b/c']);
  for (const more of [
    { anyOf: [{ required: ['kind'] }] },
    { oneOf: [] },
    { allOf: [] },
    { not: {} },
    { if: { properties: { kind: { const: 'x' } } }, else: {} },
    { dependentRequired: { kind: ['b'] } },
    { dependentSchemas: {} },
    { dependencies: {} },
    { patternProperties: {} },
    { propertyNames: {} },
    { minProperties: 1 },
    { unevaluatedProperties: false },
    { discriminator: { propertyName: 'kind' } },
    { enum: [] },
  ]) {
    const made = schema({ ...inner, ...more });
    assert.deepEqual(asked(draft, ['/a/b/c'], made), ['/a'], JSON.stringify(more));
    assert.deepEqual(asked(draft, ['/d'], made), ['/d'], 'what is beside it is not');
    assert.equal(asked(draft, ['/d'], withSchema(object({ a: inner, d: text }, more))), 'dependent');
  }
  assert.deepEqual(asked(draft, ['/a/b/c'], schema({ $ref: '#/$defs/A' })), ['/a']);
  assert.deepEqual(asked(draft, ['/a/b/c'], schema({ ...inner, type: ['object', 'null'] })), ['/a']);
  assert.deepEqual(asked(draft, ['/a/kind', '/a/b/c'], schema({ anyOf: [inner, { type: 'null' }] })), ['/a']);
});

test('an object whose names are its own is asked for as a whole', () => {
  const draft = '{"a":{"x":{"y":1},"z":2},"d":1}';
  const open = (a: Json): JsonObject => withSchema(object({ a, d: { type: 'number' } }));
  for (const own of [{ type: 'object' }, {}, true, { type: 'object', additionalProperties: text }]) {
    assert.deepEqual(asked(draft, ['/a/x/y'], open(own)), ['/a'], JSON.stringify(own));
    assert.deepEqual(asked(draft, ['/a/z', '/a/x/y'], open(own)), ['/a']);
    assert.deepEqual(asked(draft, ['/d'], open(own)), ['/d']);
  }
  const listed = { type: 'object', properties: { z: { type: 'number' } } };
  assert.deepEqual(asked(draft, ['/a/z'], open(listed)), ['/a/z']);
  assert.deepEqual(asked(draft, ['/a/x/y'], open(listed)), ['/a']);
  assert.deepEqual(asked(draft, ['/a/z', '/a/x/y'], open(listed)), ['/a'], 'what is in it is not asked for twice');
  assert.equal(asked(draft, ['/a/z'], withSchema({ type: 'object' })), 'unlisted_name');
  assert.equal(asked(draft, ['/a/z'], withSchema({})), 'unlisted_name');
  assert.deepEqual(asked(draft, ['/a/z'], { response_format: { type: 'json_object' } }), ['/a/z']);
});

test('what a schema allows and the draft left out is asked along, in the objects that stay', () => {
  const optional = { required: ['a'] };
  const inner = object({ a: text, b: text, '/': text }, optional);
  const schema = withSchema(object({ a: text, x: inner, y: inner, z: text }, { required: ['a', 'x', 'y'] }));
  const draft = '{"a":"1","x":{"a":"2"},"y":{"a":"3","b":"4"}}';
  assert.deepEqual(asked(draft, ['/a'], schema), [['/a'], ['/z', '/x/b', '/x/~1', '/y/~1']]);
  assert.equal(asked('{"a":"1","x":{"a":"2"}}', ['/a'], schema), 'misses_schema');
  const many = Object.fromEntries(Array.from({ length: MAX_FIELDS_ASKED }, (_, at) => [`n${at}`, text]));
  const wide = withSchema(object({ a: text, b: text, ...many }, { required: [] }));
  assert.equal(asked('{"a":"1","b":"2"}', ['/a'], wide), 'too_many_unsure');
});

test('a value whose schema names what cannot be taken along is not asked for by itself', () => {
  const draft = '{"a":"x","b":"y"}';
  const schema = (own: JsonObject, defs: JsonObject = { A: text }): JsonObject =>
    withSchema({ ...object({ a: own, b: text }), $defs: defs });
  assert.deepEqual(asked(draft, ['/a'], schema({ $ref: '#/$defs/A' })), ['/a']);
  assert.deepEqual(asked(draft, ['/a'], schema({ anyOf: [{ $ref: '#/$defs/A' }, { type: 'null' }] })), ['/a']);
  for (const own of [{ $ref: '#' }, { $ref: '#/properties/b' }, { $ref: 'other.json' }, { $dynamicRef: '#a' }]) {
    assert.equal(asked(draft, ['/a'], schema(own)), 'reference', JSON.stringify(own));
    assert.deepEqual(asked(draft, ['/b'], schema(own)), ['/b']);
    assert.equal(asked(draft, ['/a'], schema({ $ref: '#/$defs/A' }, { A: own })), 'reference');
  }
});
