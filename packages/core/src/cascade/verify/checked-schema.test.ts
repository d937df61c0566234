import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../text/json.ts';
import { isChecked } from './checked-schema.ts';

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
    { type: 'whatever' },
    { type: ['string', 5] },
    { additionalProperties: { pattern: 'x' } },
  ];
  for (const schema of more) assert.equal(isChecked(schema), false, JSON.stringify(schema));
  for (const schema of [undefined, true, {}, { title: 'T', description: 'd', type: 'object', $schema: 'x' }]) {
    assert.equal(isChecked(schema), true);
  }
});
