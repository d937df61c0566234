import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Sketch } from './sketch.ts';
import type { DocumentTimes } from './times.ts';
import { MEASURES, Waits } from './waits.ts';

const ms = fc.double({ min: 0, max: 1e8, noNaN: true });

/** The value at a rank, as it stands in the list. */
const exact = (values: readonly number[], share: number): number =>
  values.toSorted((left, right) => left - right)[Math.floor(share * (values.length - 1))] ?? 0;

test('a quantile is right within one percent, written down, merged in any order or not', () => {
  fc.assert(
    fc.property(fc.array(ms, { minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 7 }), (values, parts) => {
      const pieces = Array.from({ length: parts }, () => new Sketch());
      values.forEach((value, at) => pieces[at % parts]?.add(value));
      const merged = new Sketch();
      for (const piece of pieces.toReversed()) merged.merge(Sketch.read(JSON.parse(JSON.stringify(piece.write()))));
      assert.equal(merged.count, values.length);
      const sum = values.reduce((all, value) => all + value, 0);
      assert.ok(Math.abs(merged.sum - sum) <= 1e-9 * sum + 1e-9);
      for (const share of [0, 0.5, 0.95, 0.99, 1]) {
        const [found, wanted] = [merged.quantile(share) ?? -1, exact(values, share)];
        assert.ok(Math.abs(found - wanted) <= 0.0101 * wanted + 1e-9, `${share}: ${found} for ${wanted}`);
      }
    }),
  );
});

test('nothing has no quantile', () => {
  const none = new Sketch();
  none.merge(Sketch.read(new Sketch().write()));
  assert.deepEqual([none.count, none.mean, none.quantile(0.5)], [0, null, null]);
});

const tier = fc.option(fc.record({ queueMs: ms, callMs: ms }));
const times: fc.Arbitrary<DocumentTimes> = fc.record({
  drafter: tier,
  handOverMs: fc.option(ms),
  expert: tier,
  sequentialMs: fc.option(ms),
  totalMs: ms,
});

test('the waits of pages put together are the waits of their documents', () => {
  fc.assert(
    fc.property(fc.array(fc.array(times, { maxLength: 20 }), { maxLength: 8 }), (pages) => {
      const whole = new Waits();
      const merged = new Waits();
      for (const page of pages) {
        const own = new Waits();
        for (const one of page) {
          own.add(one);
          whole.add(one);
        }
        merged.merge(Waits.read(own.write()));
      }
      for (const name of MEASURES) {
        assert.equal(merged.of(name).count, whole.of(name).count, name);
        assert.equal(merged.of(name).quantile(0.95), whole.of(name).quantile(0.95), name);
      }
      const settled = pages.flat().length;
      assert.equal(whole.of('acceptedTotal').count + whole.of('escalatedTotal').count, settled);
    }),
    { numRuns: 50 },
  );
});
