import { escalatedJob, LIMITS, tierQueue, type DocumentJob, type Draft } from '@spillway/core';
import type { Board } from './board.ts';
import { pageMember } from './keys.ts';
import type { Queues } from './queues.ts';
import { Script } from './script.ts';

/** What became of a hand-off. */
export type HandedOff = 'GO' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script('handoff', 'move_down', 'fair');

/**
 * ★ The only way from drafter to expert. The draft was written onto the drafter's job before, so whoever gets that job
 * again hands the same draft over; the expert's job has a deterministic id; settle decides should two run after all.
 */
export async function handOff(board: Board, queues: Queues, job: DocumentJob, draft: Draft): Promise<HandedOff> {
  const { keys, client } = board;
  const queue = tierQueue('expert', job.rules.expert);
  const [state, tag] = (await script.run(
    client,
    [
      keys.epoch,
      keys.batch(job.batch),
      keys.sealed(job.batch),
      keys.page(job.batch, job.page),
      keys.inHand,
      ...keys.tags(queue),
    ],
    [
      job.page,
      job.place,
      job.batch,
      LIMITS.queuePriority,
      keys.jobs(queue),
      pageMember(job.batch, job.page),
      JSON.stringify(draft).length,
    ],
  )) as [HandedOff, number];
  if (state !== 'GO') return state;
  await queues.add(queue, [escalatedJob(job, draft, Date.now())], tag);
  return 'GO';
}
