import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobDataOf, JOB_VERSION, MAX_HELD_MS, type DocumentJob } from '@spillway/core';
import type { Job } from 'bullmq';
import { PUT_BACK } from './disposition.ts';
import { JobHandler, type JobHandlerParts } from './job-handler.ts';
import { Slots } from './slots.ts';

const documents = [0, 1].map((document) => ({ v: JOB_VERSION, batch: 'a', document }) as DocumentJob);

test('a job that came as the limit fell, and has no call within a moment, goes back, and its places in the line with it', async () => {
  const slots = new Slots(2);
  const calls = [slots.reserve(), slots.reserve()];
  slots.concurrency = 1;
  const handler = new JobHandler({ slots } as JobHandlerParts, { tier: 'drafter.small', callMs: 60_000 });
  const beganMs = performance.now();
  const jobs = [documents.slice(0, 1), documents].map((some) => ({ data: jobDataOf(some), stalledCounter: 0 }) as Job);
  assert.deepEqual(await Promise.all(jobs.map((job) => handler.handle(job, 'token'))), [PUT_BACK, PUT_BACK]);
  assert.ok(performance.now() - beganMs < 8 * MAX_HELD_MS);
  for (const call of calls) call.release();
  await slots.spare();
});
