import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Meters } from './meters.ts';

/** Holds the event loop up. */
function hold(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

async function delayOf(meters: Meters): Promise<number> {
  const [, value = ''] = /^nodejs_eventloop_delay_max (\S+)$/m.exec(await meters.text()) ?? [];
  return Number(value);
}

test('what holds the event loop up is measured, once for whoever asks first', async () => {
  await using meters = new Meters();
  // The first period begins with the first ring of the timer.
  await delay(50);
  hold(300);
  await delay(50);
  const longest = await delayOf(meters);
  assert.ok(longest >= 0.28, `${longest} s`);
  await delay(50);
  assert.ok((await delayOf(meters)) < longest);
});
