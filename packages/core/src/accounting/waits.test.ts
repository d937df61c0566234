import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CascadeTimes } from '../document/times.ts';
import { Sketch } from './sketch.ts';
import { Waits, delaysRecord, waitsRecord } from './waits.ts';

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

/** Waits are tenths of a millisecond. Between 0 and 1e-308 lie more bins than a sketch keeps apart. */
const tenths = fc.nat(1e9).map((number) => number / 10);
const stage = fc.option(fc.record({ queueMs: tenths, callMs: tenths, handOffMs: fc.option(tenths) }));
const times: fc.Arbitrary<CascadeTimes> = fc.record({
  cascade: fc.constantFrom('invoices', 'contracts'),
  times: fc.record({
    stages: fc.array(stage, { minLength: 1, maxLength: 4 }),
    sequentialMs: fc.option(tenths),
    totalMs: tenths,
  }),
});

const MEASURES = ['acceptedTotal', 'escalatedTotal', 'sequential'] as const;
const STAGE_MEASURES = ['queue', 'call', 'escalatedQueue', 'escalatedCall', 'handOff'] as const;

/** Every sketch there can be of cascades of up to four stages, by name. */
const sketchesOf = (waits: Waits): [string, Sketch][] => [
  ...MEASURES.map((name): [string, Sketch] => [name, waits.of(name)]),
  ...['invoices', 'contracts'].flatMap((cascade) =>
    [0, 1, 2, 3].flatMap((at) =>
      STAGE_MEASURES.map((name): [string, Sketch] => [`${cascade} ${at} ${name}`, waits.ofStage(cascade, at, name)]),
    ),
  ),
];

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
        const { waits, delays } = JSON.parse(JSON.stringify(own.write())) as ReturnType<Waits['write']>;
        merged.merge(Waits.read({ waits: waitsRecord.parse(waits), delays: delaysRecord.parse(delays) }));
      }
      const found = new Map(sketchesOf(merged));
      for (const [name, sketch] of sketchesOf(whole)) {
        assert.equal(found.get(name)?.count, sketch.count, name);
        assert.equal(found.get(name)?.quantile(0.95), sketch.quantile(0.95), name);
      }
      const settled = pages.flat().length;
      assert.equal(whole.of('acceptedTotal').count + whole.of('escalatedTotal').count, settled);
    }),
    { numRuns: 50 },
  );
});

/** What a measure of a stage has taken: how many, and their mean. */
const taken = (waits: Waits, at: number, name: (typeof STAGE_MEASURES)[number], cascade = 'invoices') => {
  const { count, mean } = waits.ofStage(cascade, at, name);
  return [count, mean];
};

test('three stages: a stage that a document passed by has no wait, the one that delivered wasted none', () => {
  const waits = new Waits();
  const drafted = { queueMs: 1, callMs: 10, handOffMs: 3 };
  const passed = { queueMs: 2, callMs: 20, handOffMs: 4 };
  const last = { queueMs: 5, callMs: 50, handOffMs: null };
  const add = (stages: CascadeTimes['times']['stages'], sequentialMs: number | null, totalMs: number) =>
    waits.add({ cascade: 'invoices', times: { stages, sequentialMs, totalMs } });
  add([drafted, passed, last], 40, 95);
  add([drafted, null, last], 30, 69);
  add([null, { ...passed, handOffMs: null }], 2, 22);
  add([{ ...drafted, handOffMs: null }], null, 11);
  add([drafted], null, 11);
  waits.add({ cascade: 'other', times: { stages: [last], sequentialMs: null, totalMs: 55 } });
  assert.deepEqual(taken(waits, 0, 'call'), [4, 10]);
  assert.deepEqual(taken(waits, 0, 'escalatedQueue'), [2, 1]);
  assert.deepEqual(taken(waits, 0, 'escalatedCall'), [2, 10]);
  assert.deepEqual(taken(waits, 0, 'handOff'), [2, 3]);
  assert.deepEqual(taken(waits, 1, 'queue'), [2, 2]);
  assert.deepEqual(taken(waits, 1, 'escalatedCall'), [1, 20]);
  assert.deepEqual(taken(waits, 1, 'handOff'), [1, 4]);
  assert.deepEqual(taken(waits, 2, 'call'), [2, 50]);
  assert.deepEqual(taken(waits, 2, 'escalatedCall'), [0, null]);
  assert.deepEqual(taken(waits, 0, 'call', 'other'), [1, 50]);
  assert.deepEqual([waits.of('sequential').count, waits.of('sequential').sum], [3, 72]);
  assert.equal(waits.of('acceptedTotal').count, 2);
  const { count, sum } = waits.of('escalatedTotal');
  assert.deepEqual([count, sum], [4, 95 + 69 + 22 + 11], 'a first draft that was delivered at the deadline among them');
});

test('only measures that there are can be written down', () => {
  const none = new Sketch().write();
  for (const name of ['sequential', 'a/1/queue', 'a.b-c/12/handOff']) {
    assert.equal(waitsRecord.safeParse({ [name]: none }).success, true, name);
  }
  for (const name of ['queue', 'drafterQueue', 'a/1/none', 'a/x/queue', '/1/queue', 'a/1/sequential', 'a/b/1/queue']) {
    assert.equal(waitsRecord.safeParse({ [name]: none }).success, false, name);
  }
  for (const name of ['a/1/delay/breaker', 'a.b-c/12/escalatedDelay/lost_worker']) {
    assert.equal(delaysRecord.safeParse({ [name]: none }).success, true, name);
    assert.equal(waitsRecord.safeParse({ [name]: none }).success, false, `${name}, for the version before`);
  }
  const later = Waits.read({ waits: {}, delays: { 'a/1/delay/weather': none } });
  assert.deepEqual(later.write(), { waits: {}, delays: {} }, 'what a version to come measures is not read');
  assert.deepEqual(new Waits().write(), { waits: {}, delays: {} });
});
