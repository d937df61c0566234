import { draftToHandOff, isAskedAlone, jobIdOf, type DocumentJob, type TierFacts } from '@spillway/core';
import { FORGET_CLOSED_AFTER_MS, PROBE_MS, TOGETHER_MS } from './breaker.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const startScript = new Script('start', 'may_ask', 'take_up', 'broke_together');
const writeScript = new Script('write_job');

/** What is to be done with a document that was taken up; `ms`: for PROBE until when it probes, for WAIT for how long. */
export type Started = TierFacts & {
  readonly state: 'GO' | 'PROBE' | 'WAIT' | 'ALONE' | 'ALREADY' | 'CLOSED' | 'GONE' | 'RECOVERING';
  readonly ms: number;
  /** When a worker took it up that was lost since, by Redis' clock; null: none was. */
  readonly lostSinceMs: number | null;
};

/** What a worker says when it takes up a document. */
export type Taking = {
  readonly priority: number;
  /** When this worker was last answered, and when the latest answered call began, if the tier is to know; else null. */
  readonly answered: { readonly atMs: number; readonly begunAtMs: number } | null;
  /** How long its call may take. */
  readonly callMs: number;
  /** How often a worker was lost that had it. */
  readonly losses: number;
};

/** A worker of a tier took up a document: whether it still is to be done, and whether the model may be asked. */
export async function startJob(redis: RedisStore, tier: string, job: DocumentJob, taking: Taking): Promise<Started> {
  const { keys, client } = redis;
  const { priority, answered, callMs, losses } = taking;
  const id = jobIdOf(job.batch, job.document);
  const names = [
    keys.epoch,
    keys.batch(job.batch),
    keys.sealed(job.batch),
    keys.page(job.batch, job.page),
    keys.startTags(tier),
    keys.breaker(tier),
    `${keys.jobs(tier)}${id}`,
    keys.broken(tier),
  ];
  const asksModel = draftToHandOff(job) === null ? '1' : '0';
  const alone = isAskedAlone(job) ? id : '';
  const args = [
    job.page,
    job.place,
    priority,
    PROBE_MS,
    asksModel,
    FORGET_CLOSED_AFTER_MS,
    answered?.atMs ?? '',
    alone,
    callMs,
    answered?.begunAtMs ?? '',
    losses,
    id,
    job.unproven?.failedAtMs ?? '',
    TOGETHER_MS,
  ];
  const answer = (await startScript.run(client, names, args)) as [Started['state'], ...number[]];
  const [state, ms = 0, nowMs = 0, closedAtMs = 0, workedAtMs = 0, lostSinceMs = 0, together = 0] = answer;
  return {
    state,
    ms,
    nowMs,
    closedAtMs,
    workedAtMs,
    lostSinceMs: lostSinceMs === 0 ? null : lostSinceMs,
    brokeTogether: together === 1,
  };
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
