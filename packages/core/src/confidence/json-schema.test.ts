import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../text/json.ts';
import { fitsSchema, missesSchema, type SchemaFit } from './json-schema.ts';

const DEFS: JsonObject = {
  $defs: {
    currency: { enum: ['GBP', 'EUR'] },
    tree: { type: 'object', properties: { next: { $ref: '#/$defs/tree' } } },
  },
};

const fit = (value: Json, schema: JsonObject): SchemaFit => fitsSchema(value, { ...schema, ...DEFS });

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
  ];
  for (const [schema, good, bad] of cases) {
    assert.equal(fit(good, schema), 'fits', JSON.stringify([schema, good]));
    assert.equal(fit(bad, schema), 'misses', JSON.stringify([schema, bad]));
  }
});

test('what cannot be looked at is told, and refuses nothing by itself', () => {
  for (const reference of ['#/$defs/nowhere', '#/x', 'https://example.com/schema']) {
    assert.equal(fit(0, { $ref: reference }), 'unknown', reference);
    assert.equal(missesSchema(0, { $ref: reference }), false);
  }
  assert.equal(fitsSchema(0, { $defs: { a: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' }), 'unknown', 'of itself');
});

test('a schema that names the same again and again is looked at as long as another one, and no longer', () => {
  const twice = { $ref: '#/$defs/a' };
  for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
    // Each level asks two times for the next: 2 to the power of 32 ways, none of which ends in a miss.
    const schema = { $defs: { a: { [keyword]: [twice, twice] } }, ...twice };
    const startedAt = process.threadCpuUsage();
    assert.equal(fitsSchema(0, schema), 'unknown', keyword);
    const { user, system } = process.threadCpuUsage(startedAt);
    assert.ok(user + system < 1_000_000, `${keyword} took ${user + system} µs`);
  }
});
