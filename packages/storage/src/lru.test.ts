import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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

test('whatever is set and read, the weights stay in their bound, and what is kept was used after what is gone', () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    weight: fc.option(fc.integer({ min: 1, max: 6 })),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const lru = new Lru<number>(10, (weight) => weight);
      // The same by hand: the youngest last.
      let kept: [string, number][] = [];
      for (const { key, weight } of steps) {
        const known = kept.find(([name]) => name === key);
        const rest = kept.filter(([name]) => name !== key);
        if (weight === null) {
          assert.equal(lru.get(key), known?.[1]);
          kept = known === undefined ? rest : [...rest, known];
          continue;
        }
        lru.set(key, weight);
        kept = [...rest, [key, weight]];
        while (kept.reduce((sum, [, own]) => sum + own, 0) > 10) kept.shift();
      }
      for (const [key, weight] of kept) assert.equal(lru.get(key), weight);
      for (const key of ['a', 'b', 'c', 'd', 'e']) {
        assert.equal(lru.get(key) === undefined, !kept.some(([name]) => name === key));
      }
    }),
  );
});
