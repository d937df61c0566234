import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.ts';
import type { Json } from './json.ts';

/** The same value with the names of each object in another order. */
function reversed(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toReversed();
  return Object.fromEntries(entries.map(([name, one]) => [name, reversed(one)]));
}

const json = fc.jsonValue({ noUnicodeString: false }) as fc.Arbitrary<Json>;

test('the order of names makes no difference, anything else does, and it is JSON of the value', () => {
  fc.assert(
    fc.property(json, json, (left, right) => {
      const text = canonicalJson(left, 10_000) ?? '';
      assert.equal(canonicalJson(reversed(left), 10_000), text);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(left)));
      const isEqual = JSON.stringify(JSON.parse(text)) === canonicalJson(right, 10_000);
      if (isEqual) assert.deepEqual(JSON.parse(JSON.stringify(right)), JSON.parse(text));
    }),
  );
  assert.equal(canonicalJson({ b: 1, a: [{ d: null, c: 'x' }] }, 10), '{"a":[{"c":"x","d":null}],"b":1}');
  assert.notEqual(canonicalJson({ a: [1, 2] }, 10), canonicalJson({ a: [2, 1] }, 10));
});

test('a name may be whatever a parser takes', () => {
  assert.equal(canonicalJson(JSON.parse('{"__proto__":{"b":1},"1":2}') as Json, 10), '{"1":2,"__proto__":{"b":1}}');
});

test('a value of too many others is given up', () => {
  const list = Array<Json>(9).fill(1);
  assert.equal(canonicalJson(list, 10), JSON.stringify(list));
  assert.equal(canonicalJson([...list, 1], 10), null);
  assert.equal(canonicalJson(Object.fromEntries(list.map((_, at) => [`${at}`, [1]])), 10), null);
});
