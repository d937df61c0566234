import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../text/json.ts';
import { breaksSchema, isChecked } from './checked-schema.ts';

const DEFS: JsonObject = {
  $defs: {
    currency: { enum: ['GBP', 'EUR'] },
    tree: { type: 'object', properties: { next: { $ref: '#/$defs/tree' } } },
  },
};

const breaks = (value: Json, schema: JsonObject): boolean => {
  const document = { ...schema, ...DEFS };
  assert.ok(isChecked(document), JSON.stringify(document));
  return breaksSchema(value, document, document);
};

test('what a schema says with keywords that are looked at is held to', () => {
  const cases: readonly [schema: JsonObject, good: Json, bad: Json][] = [
    [{ type: 'string' }, 'a', 1],
    [{ type: 'integer' }, 3, 3.5],
    [{ type: ['string', 'null'] }, null, 1],
    [{ enum: ['a', { b: 1 }] }, { b: 1 }, 'b'],
    [{ const: 5 }, 5, '5'],
    [{ $ref: '#/$defs/currency' }, 'EUR', 'Pounds'],
    [{ anyOf: [{ type: 'null' }, { enum: ['a'] }] }, 'a', 'b'],
    [{ oneOf: [{ type: 'string' }, { type: 'number' }] }, 1, true],
    [{ allOf: [{ type: 'string' }, { enum: ['a', 1] }] }, 'a', 1],
    [{ type: 'array', items: { $ref: '#/$defs/currency' } }, ['EUR'], ['EUR', 'x']],
    [{ properties: { c: { $ref: '#/$defs/currency' } } }, { c: 'GBP' }, { c: 'USD' }],
    [{ properties: { c: {} }, required: ['c'] }, { c: null }, {}],
    [{ properties: { c: {} }, additionalProperties: false }, { c: 1 }, { d: 1 }],
    [{ additionalProperties: { type: 'string' } }, { d: 'x' }, { d: 1 }],
    [{ $ref: '#/$defs/tree' }, { next: { next: {} } }, { next: { next: 3 } }],
    [{ $ref: '#/$defs/nowhere', anyOf: [] }, 0, 0],
  ];
  for (const [schema, good, bad] of cases) {
    assert.equal(
      breaks(good, schema),
      '$ref' in schema && schema['$ref'] === '#/$defs/nowhere',
      JSON.stringify(schema),
    );
    assert.equal(breaks(bad, schema), true, JSON.stringify([schema, bad]));
  }
});

test('a schema that says more than is looked at is told', () => {
  const more: JsonObject[] = [
    { type: 'string', pattern: '^a' },
    { type: 'number', minimum: 1 },
    { properties: { a: { type: 'string', format: 'date' } } },
    { items: { maxLength: 3 } },
    { items: [{ type: 'string' }] },
    { not: { type: 'string' } },
    { anyOf: [{ type: 'string' }, { type: 'string', minLength: 1 }] },
    { $defs: { a: { multipleOf: 2 } } },
    { $ref: 'https://example.com/schema' },
    { additionalProperties: { pattern: 'x' } },
  ];
  for (const schema of more) assert.equal(isChecked(schema), false, JSON.stringify(schema));
  for (const schema of [undefined, true, {}, { title: 'T', description: 'd', type: 'object', $schema: 'x' }]) {
    assert.equal(isChecked(schema), true);
  }
});
