import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STUCK_MS, StuckCount, TICK_MS } from './queue-watch.ts';

const TICKS = STUCK_MS / TICK_MS;

/** What so many looks in a row answer, one a tick. */
function looks(count: StuckCount, ticks: number, seen: { taken: number; isIdle: boolean }, fromMs = 0): number[] {
  return Array.from({ length: ticks }, (_, tick) => count.look({ ...seen, nowMs: fromMs + tick * TICK_MS })).flatMap(
    (times) => times ?? [],
  );
}

test('a worker that is free and takes nothing though documents wait is stuck, and again after as long', () => {
  const seen = { taken: 0, isIdle: true };
  assert.deepEqual(looks(new StuckCount(), TICKS, seen), []);
  assert.deepEqual(looks(new StuckCount(), TICKS + 1, seen), [1]);
  assert.deepEqual(looks(new StuckCount(), 3 * TICKS + 1, seen), [1, 2, 3]);
});

test('one that takes something up, is busy or pauses, or has no work, is not; what it was before is forgotten', () => {
  const count = new StuckCount();
  looks(count, TICKS, { taken: 5, isIdle: true });
  assert.deepEqual(looks(count, 1, { taken: 6, isIdle: true }, TICKS * TICK_MS), []);
  assert.deepEqual(looks(count, TICKS - 1, { taken: 6, isIdle: true }, (TICKS + 1) * TICK_MS), []);
  assert.deepEqual(looks(count, 1, { taken: 6, isIdle: false }, 2 * TICKS * TICK_MS), []);
  assert.deepEqual(looks(count, TICKS, { taken: 6, isIdle: true }, (2 * TICKS + 1) * TICK_MS), [1]);
  assert.deepEqual(looks(count, 1, { taken: 7, isIdle: true }, 9e6), []);
  assert.deepEqual(looks(count, TICKS + 1, { taken: 7, isIdle: true }, 9e6 + TICK_MS), [1], 'the first time again');
});

test('one that was frozen between two looks is not stuck by that', () => {
  const count = new StuckCount();
  assert.equal(count.look({ taken: 0, isIdle: true, nowMs: 0 }), null);
  assert.equal(count.look({ taken: 0, isIdle: true, nowMs: 100 * STUCK_MS }), null);
});
