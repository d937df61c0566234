import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyValueCache } from './cache.ts';
import type { DecoderShape } from './decoder.ts';
import { planesOf } from './decoder.ts';

const shape: DecoderShape = {
  layers: 1,
  heads: 2,
  headWidth: 3,
  vocabulary: 8,
  contextTokens: 100,
  lookBack: 2,
  parameters: 0,
};
const MAX_ROWS = 4;

type Change = { kind: 'add'; columns: number } | { kind: 'grow' } | { kind: 'remove'; which: number };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), columns: fc.integer({ min: 1, max: 40 }) }),
  fc.constant({ kind: 'grow' as const }),
  fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }),
);

/** Values that name the row they were made for, the plane and the column: whatever is misplaced shows. */
function valueAt(owner: number, plane: number, column: number, i: number): number {
  return owner * 100000 + plane * 1000 + column * 10 + i;
}

function freshFor(owner: number, from: number, count: number): Float32Array {
  const values: number[] = [];
  for (let plane = 0; plane < planesOf(shape); plane++) {
    for (let column = from; column < from + count; column++) {
      for (let i = 0; i < shape.headWidth; i++) values.push(valueAt(owner, plane, column, i));
    }
  }
  return Float32Array.from(values);
}

function assertHolds(cache: KeyValueCache, rows: readonly { owner: number; length: number }[]): void {
  const view = cache.view();
  const rowSize = planesOf(shape) * cache.columns * shape.headWidth;
  assert.equal(view.length, rows.length * rowSize);
  rows.forEach(({ owner, length }, row) => {
    for (let plane = 0; plane < planesOf(shape); plane++) {
      for (let at = 0; at < length * shape.headWidth; at++) {
        const value = view[row * rowSize + plane * cache.columns * shape.headWidth + at];
        const column = Math.floor(at / shape.headWidth);
        assert.equal(value, valueAt(owner, plane, column, at % shape.headWidth));
      }
    }
  });
}

test('rows keep what was put into them while others come, grow and go', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const cache = new KeyValueCache(shape, MAX_ROWS);
      const rows: { owner: number; length: number }[] = [];
      let owners = 0;
      for (const next of changes) {
        if (next.kind === 'add' && rows.length < MAX_ROWS) {
          const owner = ++owners;
          cache.reserve(next.columns);
          const fresh = freshFor(owner, 0, next.columns);
          const logits = new Float32Array(0);
          cache.append(cache.addRow(), 0, { logits, fresh, newTokens: next.columns }, 0, next.columns);
          rows.push({ owner, length: next.columns });
        } else if (next.kind === 'grow' && rows.length > 0) {
          cache.reserve(Math.max(...rows.map((row) => row.length + 1)));
          rows.forEach((row, i) => {
            const fresh = freshFor(row.owner, row.length, 1);
            cache.append(i, row.length, { logits: new Float32Array(0), fresh, newTokens: 1 }, 0, 1);
            row.length++;
          });
        } else if (next.kind === 'remove' && rows.length > 0) {
          const removed = next.which % rows.length;
          cache.removeRow(removed);
          const last = rows.pop();
          if (last !== undefined && removed < rows.length) rows[removed] = last;
        }
        assertHolds(cache, rows);
      }
    }),
  );
});

test('a full cache says so', () => {
  const cache = new KeyValueCache(shape, 1);
  cache.addRow();
  assert.throws(() => cache.addRow(), /no row left/);
});
