import { setTimeout as delay } from 'node:timers/promises';
import type { DocumentJob, Outcome, Result } from '@spillway/core';
import { close, settle } from '@spillway/redis';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import type { DispatcherParts } from './dispatcher.ts';
import { Life, type Leader } from './dying-leader.ts';

const never = new AbortController().signal;

/** Leaders one after the other: each dies after so many readings and writings, or is followed after its steps. */
export type Lives<Step extends string> = readonly { readonly operations: number; readonly steps: readonly Step[] }[];

/** What happens after so many steps. */
export type Events = {
  readonly wipe?: { readonly after: number } | null;
  readonly closing?: { readonly after: number; readonly outcome: Outcome } | null;
  /** The window of another batch than the one that is led ends. */
  readonly expiring?: { readonly after: number; readonly batch: string } | null;
};

/** Takes a batch through these lives, then to its end by a leader that does not die. */
export async function leadToEnd<Step extends string>(
  base: DispatcherParts,
  batch: string,
  {
    lead,
    lives,
    steps: all,
    wipe = null,
    closing = null,
    expiring = null,
  }: Events & {
    readonly lead: (life: Life) => Promise<Leader<Step>>;
    readonly lives: Lives<Step>;
    readonly steps: readonly Step[];
  },
): Promise<void> {
  let at = 0;
  for (const { operations, steps } of lives) {
    const leader = await lead(new Life(operations));
    for (const one of steps) {
      await leader.step(one);
      at += 1;
      if (wipe?.after === at) {
        await base.redis.client.flushall();
        await recoverIfNeeded(base, 'wipe', never);
      }
      if (closing?.after === at) await close(base.redis, batch, closing.outcome);
      if (expiring?.after === at) await close(base.redis, expiring.batch, 'expired');
    }
  }
  const last = await lead(new Life(Number.POSITIVE_INFINITY));
  for (let pass = 0; pass < 60 && !(await base.records.hasEnded(batch)); pass += 1) {
    for (const one of all) await last.step(one);
    await delay(5);
  }
}

/** Settles what is in a batch's queues, or some of it, as workers do. */
export async function settleQueued(
  { queues, records, redis }: DispatcherParts,
  batch: string,
  {
    isChosen,
    resultFor,
  }: { readonly isChosen: (job: DocumentJob) => boolean; readonly resultFor: (job: DocumentJob) => Result },
): Promise<void> {
  const pages = (await records.plan(batch))?.pages ?? [];
  for (const [page, { first, documents }] of pages.entries()) {
    const places = Array.from({ length: documents }, (_, place) => place);
    const ofPage = { batch, first, documents };
    for (const tier of ['drafter.small', 'expert.large']) {
      const jobs = (await queues.find(tier, ofPage, places)).filter(isChosen);
      await Promise.all(jobs.map((job) => settle(redis, { batch, page, place: job.place }, resultFor(job))));
      const done = jobs.map(({ place }) => place);
      await queues.drop(tier, ofPage, done);
    }
  }
}
