import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Meters, openLog } from '@spillway/runtime';
import { runStep, StepFailures } from './step-failures.ts';

test('a step that failed waits, other steps and other batches go on, and a success forgets the failures', async () => {
  await using meters = new Meters('test');
  const failures = new StepFailures({ meters, log: openLog('test', 'silent'), outage: { explains: () => false } });
  const step = { batch: 'batch_a', step: 'seal' } as const;
  let runs = 0;
  const failing = async (): Promise<never> => {
    runs += 1;
    throw new Error('a damaged record');
  };
  assert.equal(await runStep(failures, step, failing), null);
  assert.equal(failures.isWaiting(step), true);
  assert.equal(await runStep(failures, step, async () => 'done'), null, 'it is not run while it waits');
  assert.equal(runs, 1);
  for (const other of [{ ...step, step: 'end' } as const, { ...step, batch: 'batch_b' }]) {
    assert.equal(await runStep(failures, other, async () => 'done'), 'done');
  }
  const text = await meters.text();
  assert.match(text, /^cascade_step_failures_total\{step="seal"\} 1$/m);
  assert.match(text, /^cascade_step_failures_total\{step="end"\} 0$/m, 'shown before it ever failed');
  failures.clear(step);
  assert.equal(await runStep(failures, step, async () => 'done'), 'done');
});

test('that Redis is away is neither counted nor logged by a step, which is repeated soon, however often', async () => {
  await using meters = new Meters('test');
  const lines: string[] = [];
  const log = openLog('test', 'info', { write: (line) => void lines.push(line) });
  const failures = new StepFailures({ meters, log, outage: { explains: (error) => String(error).includes('away') } });
  const step = { batch: 'batch_a', step: 'seal' } as const;
  for (let times = 0; times < 8; times += 1) failures.add(step, new Error('away'));
  assert.deepEqual(lines, []);
  assert.doesNotMatch(await meters.text(), /cascade_step_failures_total\{step="seal"\} [1-9]/);
  assert.equal(failures.isWaiting(step), true);
  // Eight failures of its own would make it wait for half a minute.
  const longest = performance.now() + 5_000;
  while (failures.isWaiting(step) && performance.now() < longest) await delay(20);
  assert.equal(failures.isWaiting(step), false);
});
