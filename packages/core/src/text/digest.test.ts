import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digest, digestingPieces } from './digest.ts';
import { runAtOnce } from './slices.ts';

test('the digest of pieces is that of the whole', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.string({ unit: 'grapheme' })), (part, pieces) => {
      assert.equal(runAtOnce(digestingPieces(part, pieces)), digest(part, pieces.join('')));
    }),
  );
});

test('long texts are read in slices', () => {
  const stops = (length: number): number => {
    let count = 0;
    for (const work = digestingPieces('a', Array<string>(length).fill('x'.repeat(1_024))); work.next().done !== true;)
      count += 1;
    return count;
  };
  assert.deepEqual([stops(8), stops(160), stops(1_600)], [0, 10, 100]);
});
