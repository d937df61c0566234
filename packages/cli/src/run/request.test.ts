import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Found } from '../documents/found.ts';
import { formatOf } from '../rows/format.ts';
import type { RunOptions } from './options.ts';
import { digestOf, RequestMaker } from './request.ts';

const options: RunOptions = {
  paths: ['a'],
  cascade: null,
  prompt: null,
  system: null,
  schema: null,
  temperature: null,
  maxTokens: null,
  id: null,
  from: null,
  onUnreadable: 'skip',
  out: null,
  format: 'csv',
  escapesFormulas: false,
  maxUsd: null,
  window: '24h',
  name: null,
  metadata: {},
  state: null,
  pilot: null,
  isConfirmed: true,
  isJson: false,
};
const row = (values: Readonly<Record<string, unknown>>): Extract<Found, { kind: 'document' }> => ({
  kind: 'document',
  id: 'a.csv:1',
  values,
  kept: values,
});

test('a request has the prompt filled in, the system message and what was asked for beside', () => {
  const maker = new RequestMaker('c', {
    ...options,
    prompt: 'Sum {{a}}',
    system: 'Be short.',
    temperature: 0,
    maxTokens: 9,
  });
  const request = maker.requestOf(row({ a: '1' }), 'a.csv');
  assert.deepEqual(request, {
    url: '/v1/chat/completions',
    body: {
      model: 'c',
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'Sum 1' },
      ],
      temperature: 0,
      max_tokens: 9,
    },
  });
  assert.notEqual(digestOf(request), digestOf(maker.requestOf(row({ a: '2' }), 'a.csv')));
});

test('a column that rows of JSON lines leave out is empty there, one that no row of the source has is an error', () => {
  const maker = new RequestMaker('c', { ...options, prompt: 'a is {{a}}' });
  maker.requestOf(row({ a: '1', b: '2' }), 'a.jsonl');
  const { body } = maker.requestOf(row({ b: '2' }), 'a.jsonl');
  assert.deepEqual(body['messages'], [{ role: 'user', content: 'a is ' }]);
  assert.throws(() => maker.requestOf(row({ b: '2' }), 'b.csv'), /no such column: there is \{\{b\}\}/);
});

test('a request stays as it is but for its cascade, and takes no prompt', () => {
  const found = { kind: 'request', id: 'r', url: '/v1/completions', body: { model: 'x', prompt: 'p' } } as const;
  assert.deepEqual(new RequestMaker('c', options).requestOf(found, 'a'), {
    url: '/v1/completions',
    body: { model: 'c', prompt: 'p' },
  });
  const prompted = new RequestMaker('c', { ...options, prompt: '{{a}}' });
  assert.throws(() => prompted.requestOf(found, 'a'), /r is a request already/);
});

test('a prompt without a column, one that is no file, and a name without a format are refused', () => {
  assert.throws(() => new RequestMaker('c', { ...options, prompt: 'no column' }), /--prompt names no column/);
  assert.throws(() => new RequestMaker('c', { ...options, prompt: 'prompt.md' }), /there is no file prompt\.md/);
  assert.throws(() => formatOf('x.xls'), /ends with \.jsonl, \.csv, \.parquet/);
});
