import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestBits } from '../text/digest.ts';
import { DocumentRows } from './document-rows.ts';
import { DuplicateFinder } from './duplicates.ts';

/** A finder, and what adds an id whose line begins at an offset. */
function finder(): { readonly ids: DuplicateFinder; readonly add: (id: string, offset: number) => void } {
  const rows = new DocumentRows();
  const ids = new DuplicateFinder(rows);
  const add = (id: string, offset: number): void => ids.add(rows.add({ ...rowOf(id), offset }));
  return { ids, add };
}

const rowOf = (id: string) => ({ id: digestBits(id), body: null, document: 0 });

test('every repeated id is a candidate at each of its earlier lines, and no other id is', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 2 }), { maxLength: 3_000 }), (given) => {
      const { ids, add } = finder();
      const seen = new Map<string, number[]>();
      for (const [offset, id] of given.entries()) {
        const earlier = seen.get(id) ?? [];
        assert.deepEqual(
          ids.candidates(digestBits(id)).toSorted((a, b) => a - b),
          earlier,
        );
        add(id, offset);
        seen.set(id, [...earlier, offset]);
      }
    }),
    { numRuns: 30 },
  );
});

test('offsets beyond 32 bits are kept', () => {
  const { ids, add } = finder();
  add('a', 2 ** 40);
  assert.deepEqual(ids.candidates(digestBits('a')), [2 ** 40]);
  assert.deepEqual(ids.candidates(digestBits('b')), []);
});

test('what is a row and was not added, such as a bad line, is no candidate', () => {
  const rows = new DocumentRows();
  const ids = new DuplicateFinder(rows);
  rows.add({ ...rowOf('a'), offset: 1 });
  ids.add(rows.add({ ...rowOf('a'), offset: 2 }));
  assert.deepEqual(ids.candidates(digestBits('a')), [2]);
});
