import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DuplicateFinder } from './duplicates.ts';

test('every repeated id is a candidate at each of its earlier lines, and no other id is', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 2 }), { maxLength: 3_000 }), (ids) => {
      const finder = new DuplicateFinder();
      const seen = new Map<string, number[]>();
      for (const [offset, id] of ids.entries()) {
        const earlier = seen.get(id) ?? [];
        assert.deepEqual(
          finder.candidates(id).toSorted((a, b) => a - b),
          earlier,
        );
        finder.add(id, offset);
        seen.set(id, [...earlier, offset]);
      }
    }),
    { numRuns: 30 },
  );
});

test('offsets beyond 32 bits are kept', () => {
  const finder = new DuplicateFinder();
  finder.add('a', 2 ** 40);
  assert.deepEqual(finder.candidates('a'), [2 ** 40]);
  assert.deepEqual(finder.candidates('b'), []);
});
