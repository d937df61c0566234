import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../text/json.ts';
import { unfitReason } from './fitness.ts';

const limits = { contextTokens: null, images: true, tools: true };
const says = (content: JsonObject['content'] = 'x'): JsonObject => ({ messages: [{ role: 'user', content }] });

test('tools and functions need a model that takes them; empty lists need nothing', () => {
  const own = { ...limits, tools: false };
  assert.equal(unfitReason({ ...says(), tools: [{}] }, own), 'needs_tools');
  assert.equal(unfitReason({ ...says(), functions: [{}] }, own), 'needs_tools');
  assert.equal(unfitReason({ ...says(), tools: [] }, own), null);
  assert.equal(unfitReason({ ...says(), tools: [{}] }, limits), null);
});

test('an image is seen in the form of each endpoint', () => {
  const own = { ...limits, images: false };
  const image = { type: 'image_url', image_url: { url: 'data:…' } };
  assert.equal(unfitReason(says([{ type: 'text', text: 'a' }, image]), own), 'needs_image');
  const input = [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:…' }] }];
  assert.equal(unfitReason({ input }, own), 'needs_image');
  assert.equal(unfitReason(says('image_url'), own), null);
  assert.equal(unfitReason(says([image]), limits), null);
});

test('what is surely too long is told by its characters and the tokens that are asked for, not by an image’s data', () => {
  const own = { ...limits, contextTokens: 100 };
  assert.equal(unfitReason(says('x'.repeat(600)), own), null);
  assert.equal(unfitReason(says('x'.repeat(601)), own), 'too_long');
  for (const name of ['max_tokens', 'max_completion_tokens', 'max_output_tokens']) {
    assert.equal(unfitReason({ ...says('x'.repeat(60)), [name]: 91 }, own), 'too_long', name);
    assert.equal(unfitReason({ ...says('x'.repeat(60)), [name]: 90 }, own), null, name);
  }
  assert.equal(unfitReason({ prompt: 'x'.repeat(601) }, own), 'too_long');
  assert.equal(unfitReason({ instructions: 'x'.repeat(601), input: 'a' }, own), 'too_long');
  assert.equal(unfitReason(says([{ type: 'image_url', image_url: { url: 'x'.repeat(9_999) } }]), own), null);
});

test('whatever a request holds, however deep, nothing throws', () => {
  let deep: JsonObject = { content: 'x' };
  for (let level = 0; level < 20_000; level += 1) deep = { content: [deep] };
  assert.equal(unfitReason({ messages: [deep] }, { ...limits, contextTokens: 1 }), null);
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('messages', 'prompt', 'input', 'tools'), fc.jsonValue()), (body) => {
      unfitReason(body as JsonObject, { contextTokens: 5, images: false, tools: false });
    }),
  );
});

test('a request of very many parts is looked at like any other', () => {
  const parts = Array.from({ length: 300_000 }, () => ({ type: 'text', text: 'x' }));
  assert.equal(unfitReason(says(parts), { ...limits, contextTokens: 100 }), 'too_long');
});
