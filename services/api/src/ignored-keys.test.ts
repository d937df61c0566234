import assert from 'node:assert/strict';
import { validateHeaderValue } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { IGNORED_HEADER, ignoredKeys } from './ignored-keys.ts';

const KNOWN = ['endpoint', 'metadata'];

test('the keys that are not known are named, in their order', () => {
  assert.equal(ignoredKeys({ endpoint: 1, priority: 2, metadata: 3, 'input file': 4 }, KNOWN), 'priority,input%20file');
  assert.equal(ignoredKeys(JSON.parse('{"__proto__": 1}'), KNOWN), '__proto__');
  assert.equal(ignoredKeys({ endpoint: 1 }, KNOWN), null);
  assert.equal(
    ignoredKeys({ 'a,b\r\nSet-Cookie: x': 1, ä: 2, '\ud83d': 3 }, KNOWN),
    'a%2Cb%0D%0ASet-Cookie%3A%20x,%C3%A4,%EF%BF%BD',
  );
  for (const none of [null, undefined, [], 'x', 7]) assert.equal(ignoredKeys(none, KNOWN), null);
});

test('a long name is cut, and so are many of them', () => {
  assert.equal(ignoredKeys({ ['k'.repeat(1_000_000)]: 1, b: 2 }, KNOWN), `${'k'.repeat(64)}...,b`);
  const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, at) => [`key${at}`, at]));
  const value = ignoredKeys(many, KNOWN) ?? '';
  assert.ok(value.startsWith('key0,key1,') && value.endsWith(',...'));
  assert.ok(value.length <= 512);
});

test('whatever the keys are, the header can be sent and stays short', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary', maxLength: 200 }), fc.integer(), { maxKeys: 40 }), (body) => {
      const value = ignoredKeys(body, []);
      if (value === null) return assert.deepEqual(Object.keys(body), []);
      validateHeaderValue(IGNORED_HEADER, value);
      assert.match(value, /^[\x21-\x7e]+$/);
      assert.ok(value.length <= 512);
    }),
  );
});
