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
 * again hands the same draft off; the next job has a deterministic id; settle decides should two run after all. The
 * function that is returned may be called again until it succeeds: the draft is charged and its start tag taken once.
 */
export function prepareHandOff(
  { keys, client }: RedisStore,
  queues: Queues,
  document: CascadeDocument,
): () => Promise<HandedOff> {
  const { job, rules } = document;
  const next = nextStageJob(document, Date.now());
  const tier = stageTier(rules, next.stage);
  const bytes = Buffer.byteLength(JSON.stringify(draftToHandOff(job)));
  const all = [
    keys.epoch,
    keys.batch(job.batch),
    keys.sealed(job.batch),
    keys.page(job.batch, job.page),
    keys.inFlight,
    ...keys.tagInputs(tier),
  ];
  const member = pageMember(job.batch, job.page);
  let taken: number | null = null;
  return async () => {
    const [state, tag] = (await script.run(client, all, [
      job.page,
      job.place,
      job.batch,
      LIMITS.queuePriority,
      keys.jobs(tier),
      member,
      bytes,
      taken ?? '',
    ])) as [HandedOff, number];
    if (state !== 'GO') return state;
    taken = tag;
    await queues.add(tier, [next], tag);
    return 'GO';
  };
}
