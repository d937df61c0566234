import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lru } from './lru.ts';

test('what was used last stays', () => {
  const lru = new Lru<number>(3, () => 1);
  for (const [key, value] of Object.entries({ a: 1, b: 2, c: 3 })) lru.set(key, value);
  assert.equal(lru.get('a'), 1);
  lru.set('d', 4);
  assert.equal(lru.get('b'), undefined);
  assert.deepEqual(
    ['a', 'c', 'd'].map((key) => lru.get(key)),
    [1, 3, 4],
  );
});

test('weights are bounded together, and a value that is set again counts once', () => {
  const lru = new Lru<string>(10, (value) => value.length);
  lru.set('a', 'xxxx');
  lru.set('a', 'yyyy');
  lru.set('b', 'zzzzzz');
  assert.equal(lru.get('a'), 'yyyy');
  lru.set('c', 'w');
  assert.equal(lru.get('b'), undefined);
  lru.set('huge', 'x'.repeat(11));
  assert.equal(lru.get('huge'), undefined);
});
