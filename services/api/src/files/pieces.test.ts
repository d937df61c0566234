import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutPieces, lengthOf, resultPieces } from './pieces.ts';

const pages: [number, number][] = [
  [5, 2],
  [0, 3],
  [4, 0],
];

test('output lines begin a page, error lines follow, pages without any are passed over', () => {
  const page = (number: number): string => `batches/b/pages/000000${number}`;
  assert.deepEqual(resultPieces('b', 'output', pages), [
    { key: page(0), start: 0, end: 5 },
    { key: page(2), start: 0, end: 4 },
  ]);
  assert.deepEqual(resultPieces('b', 'error', pages), [
    { key: page(0), start: 5, end: 7 },
    { key: page(1), start: 0, end: 3 },
  ]);
});

test('a cut of the pieces is the cut of what they hold', () => {
  const scenario = fc.record({
    pages: fc.array(fc.tuple(fc.nat(6), fc.nat(6)), { maxLength: 6 }),
    part: fc.constantFrom('output' as const, 'error' as const),
    cut: fc.tuple(fc.nat(40), fc.nat(40)),
  });
  fc.assert(
    fc.property(scenario, (drawn) => {
      const pieces = resultPieces('b', drawn.part, drawn.pages);
      const placesOf = (some: typeof pieces): string[] =>
        some.flatMap(({ key, start, end }) => Array.from({ length: end - start }, (_, at) => `${key}@${start + at}`));
      const whole = placesOf(pieces);
      const [start = 0, end = 0] = drawn.cut.toSorted((left, right) => left - right);
      assert.equal(lengthOf(pieces), whole.length);
      assert.deepEqual(placesOf(cutPieces(pieces, start, end)), whole.slice(start, end));
    }),
  );
});
