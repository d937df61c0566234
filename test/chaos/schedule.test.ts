import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DOCUMENT_KINDS } from './documents.ts';
import { PROCESSES, scheduleOf, withoutKinds } from './schedule.ts';
import { WISHES } from './wishes.ts';

const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 });

test('a seed is the same schedule whenever it is asked for', () => {
  fc.assert(fc.property(seed, (one) => assert.deepEqual(scheduleOf(one), scheduleOf(one))));
});

test('every schedule has 200 documents, and five faults in the order of their moments or a rolling restart', () => {
  fc.assert(
    fc.property(seed, (one) => {
      const { batches, faults, isCalm } = scheduleOf(one);
      assert.ok(batches.reduce((sum, { documents }) => sum + documents.length, 0) >= 200);
      assert.equal(batches[0]?.at, 0, 'work begins at once');
      assert.ok(isCalm ? faults[0]?.kind === 'rolling_restart' : faults.length >= 5);
      const moments = faults.map(({ at }) => at);
      assert.deepEqual(
        moments,
        moments.toSorted((left, right) => left - right),
      );
      for (const fault of faults) {
        assert.ok(fault.kind !== 'cancel' || fault.batch < batches.length);
        assert.ok(!('process' in fault) || PROCESSES.includes(fault.process));
        assert.ok(!('forMs' in fault) || fault.forMs <= 5_000);
      }
    }),
  );
});

test('a thousand seeds have every kind of fault, for every process and every model', () => {
  const schedules = Array.from({ length: 1_000 }, (_, one) => scheduleOf(one));
  const faults = schedules.flatMap((one) => one.faults);
  const kinds = Map.groupBy(faults, ({ kind }) => kind);
  assert.equal(kinds.size, 32);
  for (const [kind, found] of kinds) assert.ok(found.length >= 15, `${kind} ${found.length}`);
  for (const kind of ['kill', 'terminate', 'freeze'] as const) {
    const killed = new Set(kinds.get(kind)?.map((fault) => 'process' in fault && fault.process));
    assert.deepEqual(killed, new Set(PROCESSES), kind);
  }
  const documents = new Set(schedules.flatMap(({ batches }) => batches.flatMap((batch) => batch.documents)));
  assert.deepEqual(documents, new Set(Object.keys(DOCUMENT_KINDS)));
  const batches = schedules.flatMap((one) => one.batches);
  assert.deepEqual(new Set(batches.map(({ wish }) => wish)), new Set(WISHES));
  assert.ok(batches.some(({ isRedecided }) => isRedecided));
  assert.ok(batches.some(({ pausedMs }) => pausedMs !== null));
  assert.ok(schedules.filter(({ storage }) => storage === 's3').length >= 20);
  assert.equal(new Set(schedules.map((one) => JSON.stringify(one.faults))).size > 950, true);
});

test('what is known to fail can be left out, and the rest of the schedule stays', () => {
  fc.assert(
    fc.property(seed, (one) => {
      const whole = scheduleOf(one);
      const { faults, batches } = withoutKinds(whole, new Set(['kill', 'large']));
      assert.deepEqual(
        faults,
        whole.faults.filter(({ kind }) => kind !== 'kill'),
      );
      for (const [index, { documents }] of batches.entries()) {
        const before = whole.batches[index]?.documents;
        assert.deepEqual(
          documents,
          before?.map((kind) => (kind === 'large' ? 'small' : kind)),
        );
      }
    }),
  );
});
