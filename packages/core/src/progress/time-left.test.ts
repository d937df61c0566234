import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ProgressNote } from './notes.ts';
import { timeLeft } from './time-left.ts';

const figure = fc.integer({ min: 0, max: 400 });
const note = fc.record({
  atMs: fc.integer({ min: 0, max: 60_000 }),
  settled: figure,
  stages: fc.array(fc.record({ reached: figure, left: figure }), { minLength: 1, maxLength: 3 }),
});

test('a stage that has done more than it is likely to have in the end is expected to take no time', () => {
  const began = { reached: 0, left: 0 };
  const notes = [0, 0, 0].map((atMs): ProgressNote => ({ atMs, settled: 0, stages: [began, { ...began, left: 12 }] }));
  const last = {
    atMs: 1,
    settled: 0,
    stages: [
      { reached: 0, left: 12 },
      { reached: 2, left: 20 },
    ],
  };
  const expected = timeLeft([...notes, last], 60);
  assert.equal(expected?.likely, 0);
  assert.ok(expected.high > 0 && Number.isFinite(expected.high), `${expected.high}`);
});

test('whatever the notes say, also that less is done than before, something is expected or nothing, and at once', () => {
  fc.assert(
    fc.property(fc.array(note, { maxLength: 48 }), fc.nat({ max: 1_000 }), (notes, total) => {
      const ordered: ProgressNote[] = notes.toSorted((left, right) => left.atMs - right.atMs);
      const expected = timeLeft(ordered, total);
      if (expected === null) return;
      const { low, likely, high } = expected;
      assert.ok(low >= 0 && low <= likely && likely <= high, JSON.stringify(expected));
    }),
    { numRuns: 2_000 },
  );
});
