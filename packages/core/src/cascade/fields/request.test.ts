import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointUrl } from '../../endpoints/index.ts';
import type { JsonObject } from '../../text/json.ts';
import type { FieldsPlan } from './plan.ts';
import { fieldsRequest, reducedSchema } from './request.ts';

const plan = (paths: readonly string[], absent: readonly string[] = []): FieldsPlan => ({
  kind: 'fields',
  paths,
  absent,
});

const SCHEMA: JsonObject = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Invoice',
  type: 'object',
  properties: {
    type: { type: 'string', enum: ['invoice', 'receipt'] },
    total: { type: 'string', description: 'What is to be paid, after deposits.' },
    buyer: {
      type: 'object',
      description: 'Who pays.',
      properties: { name: { type: 'string' }, vat: { $ref: '#/$defs/Vat' }, '~/': { type: 'null' } },
      required: ['name', '~/'],
      additionalProperties: false,
    },
    note: { type: ['string', 'null'] },
  },
  required: ['type', 'total', 'buyer'],
  additionalProperties: false,
  $defs: { Vat: { type: 'string' } },
};

test('a schema is reduced to what is asked for, in its place', () => {
  assert.deepEqual(reducedSchema(SCHEMA, plan(['/buyer/~0~1', '/total'], ['/note'])), {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Invoice',
    type: 'object',
    properties: {
      buyer: {
        type: 'object',
        description: 'Who pays.',
        properties: { '~/': { type: 'null' } },
        required: ['~/'],
        additionalProperties: false,
      },
      total: { type: 'string', description: 'What is to be paid, after deposits.' },
      note: { type: ['string', 'null'] },
    },
    required: ['buyer', 'total'],
    additionalProperties: false,
  });
});

test('definitions go along where a value names them; what need not be there is not required', () => {
  const reduced = reducedSchema(SCHEMA, plan(['/buyer/vat', '/total']));
  assert.deepEqual(reduced['$defs'], SCHEMA['$defs']);
  assert.deepEqual(reduced['required'], ['total', 'buyer'].toReversed());
  const { buyer } = reduced['properties'] as { buyer: JsonObject };
  assert.deepEqual(buyer['required'], []);
  const absent = reducedSchema(SCHEMA, plan(['/total'], ['/buyer/vat']));
  assert.deepEqual(absent['required'], ['total'], 'nothing need come of what the draft left out');
});

test('a name that objects treat in their own way is one as any other', () => {
  const schema = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}},"required":["__proto__"]}');
  const reduced = reducedSchema(schema as JsonObject, plan(['/__proto__']));
  assert.equal(
    JSON.stringify(reduced),
    '{"type":"object","properties":{"__proto__":{"type":"string"}},"required":["__proto__"],"additionalProperties":false}',
  );
});

const WORDS = [
  'Of the JSON that is asked for above, only some values are wanted now. Answer with one JSON object that has these names, nested like this, and no others:',
  '{"buyer": {"vat": …}, "total": …, "note": …}',
  'Leave out of them where there is no such value: "vat" of "buyer", "note".',
  'What they are:',
  '- "total": What is to be paid, after deposits.',
].join('\n');
const PLAN = plan(['/buyer/vat', '/total'], ['/note']);

test('the instruction stands behind what the user said last, and all else stays', () => {
  const body: JsonObject = {
    model: 'x',
    messages: [
      { role: 'system', content: 'Read invoices.' },
      { role: 'user', content: 'Total 10.15' },
    ],
    max_tokens: 99,
    response_format: { type: 'json_schema', json_schema: { name: 'n'.repeat(64), strict: true, schema: SCHEMA } },
  };
  assert.deepEqual(fieldsRequest('/v1/chat/completions', body, PLAN), {
    ...body,
    messages: [
      { role: 'system', content: 'Read invoices.' },
      { role: 'user', content: `Total 10.15\n\n${WORDS}` },
    ],
    response_format: {
      type: 'json_schema',
      json_schema: { name: `${'n'.repeat(57)}_fields`, strict: true, schema: reducedSchema(SCHEMA, PLAN) },
    },
  });
});

const messagesFor = (endpoint: EndpointUrl, body: JsonObject): unknown => {
  const asked = fieldsRequest(endpoint, body, plan(['/a']));
  return asked === null ? null : (asked['messages'] ?? asked['input'] ?? asked['prompt']);
};
const words = [WORDS.split('\n')[0], '{"a": …}'].join('\n');

test('behind pictures it is a part, behind other messages one of its own, and an answer that is begun has no place', () => {
  const image = { type: 'image_url', image_url: { url: 'data:' } };
  const chat = (last: JsonObject): unknown => messagesFor('/v1/chat/completions', { messages: [last] });
  assert.deepEqual(chat({ role: 'user', content: [image] }), [
    { role: 'user', content: [image, { type: 'text', text: words }] },
  ]);
  assert.deepEqual(chat({ role: 'system', content: 's' }), [
    { role: 'system', content: 's' },
    { role: 'user', content: words },
  ]);
  assert.equal(chat({ role: 'assistant', content: '{' }), null);
  assert.equal(chat({ role: 'user', content: null }), null);
});

test('completions and responses have it behind their own', () => {
  assert.equal(messagesFor('/v1/completions', { prompt: 'p' }), `p\n\n${words}\n`);
  assert.equal(messagesFor('/v1/completions', { prompt: ['p'] }), null);
  assert.equal(messagesFor('/v1/completions', { prompt: [1, 2] }), null);
  assert.equal(messagesFor('/v1/completions', { prompt: 'p', suffix: 's' }), null);
  assert.equal(messagesFor('/v1/responses', { input: 'p' }), `p\n\n${words}`);
  assert.equal(messagesFor('/v1/responses', { prompt: { id: 'p' } }), null);
  assert.deepEqual(messagesFor('/v1/responses', { input: [{ role: 'user', content: [] }] }), [
    { role: 'user', content: [{ type: 'input_text', text: words }] },
  ]);
  const format = { type: 'json_schema', name: 'invoice', strict: true, schema: SCHEMA };
  const asked = fieldsRequest('/v1/responses', { input: 'p', text: { format, verbosity: 'low' } }, PLAN);
  assert.deepEqual(asked?.['text'], {
    verbosity: 'low',
    format: { ...format, name: 'invoice_fields', schema: reducedSchema(SCHEMA, PLAN) },
  });
});

test('without a schema all names are asked for, and the format stays', () => {
  const body = { prompt: 'p', response_format: { type: 'json_object' }, max_tokens: 5 };
  assert.deepEqual(fieldsRequest('/v1/completions', body, plan(['/a'])), { ...body, prompt: `p\n\n${words}\n` });
});
