import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { ApiError } from '../errors.ts';
import { after, limit, order } from './parts.ts';
import { read } from './read.ts';

const query = z.object({ limit: limit({ least: 0, most: 100, fallback: 20 }), order, after });
const readLimit = (asked: object) => read(query, asked).limit;
const readOrder = (asked: object) => read(query, asked).order;
const readAfter = (asked: object) => read(query, asked).after;

const refused = (ask: () => unknown) => {
  try {
    ask();
  } catch (error) {
    if (error instanceof ApiError) return error.envelope.error;
  }
  return assert.fail('was accepted');
};

test('a limit is a whole number within its bounds', () => {
  assert.equal(readLimit({}), 20);
  assert.equal(readLimit({ limit: '' }), 20);
  assert.equal(readLimit({ limit: '0' }), 0);
  assert.equal(readLimit({ limit: '100' }), 100);
  const above = refused(() => readLimit({ limit: '101' }));
  assert.equal(above.code, 'integer_above_max_value');
  assert.equal(above.param, 'limit');
  assert.equal(
    above.message,
    "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
  );
  assert.equal(refused(() => readLimit({ limit: '-1' })).code, 'integer_below_min_value');
  assert.equal(refused(() => readLimit({ limit: '9'.repeat(400) })).code, 'integer_above_max_value');
  for (const text of ['abc', '1.5', '1e3', ' 1', ['1', '2'], {}]) {
    assert.equal(refused(() => readLimit({ limit: text })).code, 'invalid_type');
  }
});

test('an order is asc or desc, a text is one text', () => {
  assert.equal(readOrder({}), undefined);
  assert.equal(readOrder({ order: 'asc' }), 'asc');
  assert.equal(refused(() => readOrder({ order: 'up' })).code, 'invalid_value');
  assert.equal(readAfter({ after: '' }), undefined);
  assert.equal(refused(() => readAfter({ after: ['a', 'b'] })).param, 'after');
});
