import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Slots, type Slot } from './slots.ts';

const takenOf = (slots: readonly Slot[]): boolean[] => slots.map(({ isTaken }) => isTaken);

test('who asks first has a slot first, and one that is released goes to the next in line', async () => {
  const slots = new Slots(2);
  const all = [slots.reserve(), slots.reserve(), slots.reserve(), slots.reserve()];
  assert.deepEqual(takenOf(all), [true, true, false, false]);
  all[2]?.release();
  all[0]?.release();
  assert.deepEqual(takenOf(all), [false, true, false, true]);
  assert.equal(await all[2]?.taken, false, 'it went before its turn');
  assert.equal(await all[3]?.taken, true);
});

test('a slot is spare only where nobody waits in line, and with a lower limit when enough were released', async () => {
  const slots = new Slots(1);
  const first = slots.reserve();
  const second = slots.reserve();
  let isSpare = false;
  const spare = slots.spare().then(() => (isSpare = true));
  first.release();
  await Promise.resolve();
  assert.deepEqual([second.isTaken, isSpare], [true, false]);
  second.release();
  await spare;
  slots.concurrency = 3;
  const three = [slots.reserve(), slots.reserve(), slots.reserve()];
  slots.concurrency = 1;
  const later = slots.reserve();
  three[0]?.release();
  three[1]?.release();
  assert.equal(later.isTaken, false);
  three[2]?.release();
  assert.equal(later.isTaken, true);
});

test('a slot that does not come in time is not lost', async () => {
  const slots = new Slots(1);
  const first = slots.reserve();
  const second = slots.reserve();
  assert.equal(await second.within(1), false);
  second.release();
  first.release();
  assert.equal(slots.reserve().isTaken, true);
});

test('whatever is asked for, released and limited in whatever order, never more are taken, and none is idle that is wanted', () => {
  const steps = fc.array(
    fc.oneof(
      fc.constant({ kind: 'reserve' } as const),
      fc.record({ kind: fc.constant('release' as const), at: fc.nat(40) }),
      fc.record({ kind: fc.constant('limit' as const), to: fc.integer({ min: 1, max: 5 }) }),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const slots = new Slots(2);
      const held: Slot[] = [];
      for (const step of all) {
        const before = held.filter(({ isTaken }) => isTaken).length;
        if (step.kind === 'reserve') held.push(slots.reserve());
        if (step.kind === 'limit') slots.concurrency = step.to;
        if (step.kind === 'release') held.splice(step.at, 1)[0]?.release();
        const taken = held.filter(({ isTaken }) => isTaken).length;
        assert.ok(taken <= Math.max(slots.concurrency, before));
        if (taken < slots.concurrency) assert.equal(taken, held.length, 'nobody waits while one is spare');
      }
    }),
  );
});
