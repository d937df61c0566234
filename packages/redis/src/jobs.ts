import { draftToHandOff, type DocumentJob } from '@spillway/core';
import { FORGET_OPEN_AFTER_MS, PROBE_MS } from './breaker.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const startScript = new Script('start');
const writeScript = new Script('write_job');

/** What is to be done with a document that was taken up; `ms`: for PROBE until when it probes, for WAIT for how long. */
export type Started = {
  readonly state: 'GO' | 'PROBE' | 'WAIT' | 'ALREADY' | 'CLOSED' | 'GONE' | 'RECOVERING';
  readonly ms: number;
};

/** A worker of a tier took up a document: whether it still is to be done, and whether the model may be asked. */
export async function startJob(redis: RedisStore, tier: string, job: DocumentJob, priority: number): Promise<Started> {
  const { keys, client } = redis;
  const names = [
    keys.epoch,
    keys.batch(job.batch),
    keys.sealed(job.batch),
    keys.page(job.batch, job.page),
    keys.startTags(tier),
    keys.breaker(tier),
  ];
  const asksModel = draftToHandOff(job) === null ? '1' : '0';
  const args = [job.page, job.place, priority, PROBE_MS, asksModel, FORGET_OPEN_AFTER_MS];
  const [state, ms] = (await startScript.run(client, names, args)) as [Started['state'], number];
  return { state, ms };
}

/** Writes a job as changed, if it is still the worker's with this lock token; GONE: it is not. */
export async function writeJob(
  redis: RedisStore,
  { tier, id, token }: { readonly tier: string; readonly id: string; readonly token: string },
  changed: DocumentJob,
): Promise<'SAVED' | 'GONE'> {
  const key = `${redis.keys.queue(tier)}:${id}`;
  const args = [token, JSON.stringify(changed)];
  return (await writeScript.run(redis.client, [key, `${key}:lock`], args)) as 'SAVED' | 'GONE';
}
