import { draftToHandOff, LIMITS, nextStageJob, stageTier, type CascadeDocument } from '@spillway/core';
import { pageMember } from './keys.ts';
import type { Queues } from './queues.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

/** What became of a hand-off. */
export type HandedOff = 'GO' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script('handoff', 'move_down', 'fair');

/**
 * ★ The only way from one stage to the next. The draft was written onto the stage's job before, so whoever gets that job
 * again hands the same draft off; the next job has a deterministic id; settle decides should two run after all.
 */
export async function handOff(redis: RedisStore, queues: Queues, document: CascadeDocument): Promise<HandedOff> {
  const { keys, client } = redis;
  const { job, rules } = document;
  const next = nextStageJob(document, Date.now());
  const tier = stageTier(rules, next.stage);
  const [state, tag] = (await script.run(
    client,
    [
      keys.epoch,
      keys.batch(job.batch),
      keys.sealed(job.batch),
      keys.page(job.batch, job.page),
      keys.inFlight,
      ...keys.tagInputs(tier),
    ],
    [
      job.page,
      job.place,
      job.batch,
      LIMITS.queuePriority,
      keys.jobs(tier),
      pageMember(job.batch, job.page),
      JSON.stringify(draftToHandOff(job)).length,
    ],
  )) as [HandedOff, number];
  if (state !== 'GO') return state;
  await queues.add(tier, [next], tag);
  return 'GO';
}
