import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from './errors.ts';
import { readLimit, readOrder, readText } from './query.ts';

const range = { least: 0, most: 100, fallback: 20 };

const refused = (read: () => unknown) => {
  try {
    read();
  } catch (error) {
    if (error instanceof ApiError) return error.envelope.error;
  }
  return assert.fail('was accepted');
};

test('a limit is a whole number within its bounds', () => {
  assert.equal(readLimit({}, range), 20);
  assert.equal(readLimit({ limit: '' }, range), 20);
  assert.equal(readLimit({ limit: '0' }, range), 0);
  assert.equal(readLimit({ limit: '100' }, range), 100);
  const above = refused(() => readLimit({ limit: '101' }, range));
  assert.equal(above.code, 'integer_above_max_value');
  assert.equal(above.param, 'limit');
  assert.equal(
    above.message,
    "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
  );
  assert.equal(refused(() => readLimit({ limit: '-1' }, range)).code, 'integer_below_min_value');
  assert.equal(refused(() => readLimit({ limit: '9'.repeat(400) }, range)).code, 'integer_above_max_value');
  for (const limit of ['abc', '1.5', '1e3', ' 1', ['1', '2'], {}]) {
    assert.equal(refused(() => readLimit({ limit }, range)).code, 'invalid_type');
  }
});

test('an order is asc or desc, a text is one text', () => {
  assert.equal(readOrder({}), 'desc');
  assert.equal(readOrder({ order: 'asc' }), 'asc');
  assert.equal(refused(() => readOrder({ order: 'up' })).code, 'invalid_value');
  assert.equal(readText({ after: '' }, 'after'), null);
  assert.equal(refused(() => readText({ after: ['a', 'b'] }, 'after')).param, 'after');
});
