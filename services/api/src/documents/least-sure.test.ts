import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LeastSure } from './least-sure.ts';

test('the least sure ones are kept, in order, whatever comes when', () => {
  const confidence = fc.option(fc.constantFrom(0, 0.1, 0.5, 0.9, 1));
  fc.assert(
    fc.property(fc.array(confidence), fc.integer({ min: 1, max: 10 }), (confidences, most) => {
      const least = new LeastSure(most);
      for (const [document, one] of confidences.entries()) least.add(document, one);
      const sorted = [...confidences.entries()].toSorted(
        ([left, a], [right, b]) => (a ?? 2) - (b ?? 2) || left - right,
      );
      assert.deepEqual(
        least.documents(),
        sorted.slice(0, most).map(([document]) => document),
      );
    }),
  );
});
