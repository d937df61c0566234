import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FIRST_PRIORITY, priorityOf, type PrioritizedCall } from './priority.ts';

const NOW_MS = Date.UTC(2026, 10, 27);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const callOf = ({ agoMs = 0, dueInMs = DAY_MS, timeoutMs = 300_000 }): PrioritizedCall => ({
  nowMs: NOW_MS - agoMs,
  deadlineMs: NOW_MS + dueInMs,
  timeoutMs,
});

const low = (given: Parameters<typeof callOf>[0]): number => priorityOf('low_first', callOf(given));

test('what is due sooner goes first, and what somebody waits for before all', () => {
  const due = [MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS, DAY_MS].map((dueInMs) => low({ dueInMs }));
  assert.deepEqual(
    due.map((value) => value - NOW_MS / 10_000),
    [1, 1, 3, 6],
  );
  assert.ok(due.every((value) => value > FIRST_PRIORITY));
  assert.deepEqual(priorityOf('high_first', callOf({ dueInMs: MINUTE_MS })), -low({ dueInMs: MINUTE_MS }));
  assert.equal(low({ dueInMs: DAY_MS }), low({ dueInMs: 2 * DAY_MS }), 'where there is time the order stays');
});

test('a call is overtaken by those of the next minute at most, however urgent, and of a fifth of its time', () => {
  assert.ok(low({ agoMs: MINUTE_MS }) <= low({ dueInMs: 0 }), 'it has waited for a minute');
  assert.ok(low({ agoMs: 20_000, timeoutMs: 100_000 }) <= low({ dueInMs: 0 }));
});

test('no two calls that are there at once are so far apart that one would be interrupted for another', () => {
  const call = fc.record({
    agoMs: fc.constant(0),
    dueInMs: fc.integer({ min: -DAY_MS, max: 30 * DAY_MS }),
    timeoutMs: fc.integer({ min: 1, max: DAY_MS }),
  });
  fc.assert(
    fc.property(call, call, fc.integer({ min: 0, max: DAY_MS }), (one, newer, agoMs) => {
      const ahead = low({ ...one, agoMs }) - low(newer);
      assert.ok(ahead <= 7, `${ahead}`);
      assert.ok(Math.abs(low(one)) < 2 ** 31, 'servers in other languages may have 32 bits');
    }),
  );
});
