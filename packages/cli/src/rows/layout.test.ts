import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResultLine } from '@spillway/core';
import { layoutOf } from './layout.ts';

const lineOf = (content: string): ResultLine => ({
  id: 'l',
  custom_id: 'a',
  response: {
    status_code: 200,
    request_id: 'r',
    body: { object: 'chat.completion', choices: [{ message: { content } }] },
  },
  error: null,
});

test('columns of the input keep their names, what is added steps aside', () => {
  const { columns, rowOf } = layoutOf(['total', 'model', 'custom_id'], ['total', 'buyer']);
  assert.deepEqual(columns.slice(0, 6), ['spillway.custom_id', 'total', 'model', 'custom_id', 'answer.total', 'buyer']);
  assert.ok(columns.includes('spillway.model'));
  assert.equal(new Set(columns).size, columns.length);
  const row = rowOf({ id: 'row:1', input: { total: '7', model: 'T' }, result: lineOf('{"total": 8}'), problem: null });
  assert.deepEqual(
    [row['spillway.custom_id'], row['total'], row['model'], row['answer.total'], row['buyer'], row['error']],
    ['row:1', '7', 'T', 8, null, null],
  );
});

test('ids that are a column of this name stand there, also of what has no such column', () => {
  const { columns, rowOf } = layoutOf(['custom_id', 'b'], null, 'custom_id');
  assert.deepEqual(columns.slice(0, 3), ['custom_id', 'b', 'answer']);
  assert.equal(rowOf({ id: 'a.txt', input: {}, result: lineOf('yes'), problem: null })['custom_id'], 'a.txt');
});

test('an answer that is no object, and a document without a result, say so', () => {
  const { rowOf } = layoutOf([], ['total']);
  const said = (content: string) => rowOf({ id: 'a', input: {}, result: lineOf(content), problem: null })['error'];
  assert.equal(said('```json\n{"total": 1}\n```'), null);
  assert.equal(said('I do not know'), 'the answer is no JSON object: I do not know');
  assert.equal(said('[1]'), 'the answer is no JSON object: [1]');
  assert.equal(rowOf({ id: 'a', input: {}, result: null, problem: 'unreadable: x' })['error'], 'unreadable: x');
  const failed: ResultLine = {
    ...lineOf(''),
    response: { status_code: 400, request_id: 'r', body: { error: { message: 'too long' } } },
  };
  assert.equal(rowOf({ id: 'a', input: {}, result: failed, problem: null })['error'], '400: too long');
});
