import { isDrawn, unfinishedSpans, type FinishedSpan, type NoAnswer, type PagePlan } from '@spillway/core';
import type { Queues } from '@spillway/redis';
import type { Sampling } from '@spillway/runtime';
import type { BatchPlan } from '@spillway/storage';
import { tracedShare } from './document-jobs.ts';

/** Documents of a page that had no result when their batch ended. */
export type Unfinished = {
  readonly plan: BatchPlan;
  readonly at: PagePlan;
  readonly places: readonly number[];
  readonly error: NoAnswer;
  readonly endedAtMs: number;
};

/**
 * The traces of those of them that were drawn and begun: what was done for a document before its batch was cancelled or
 * its time ran out is seen like everything else.
 */
export async function unfinishedTraces(
  { queues, sampling }: { readonly queues: Queues; readonly sampling: Sampling | null },
  { plan, at, places, error, endedAtMs }: Unfinished,
): Promise<FinishedSpan[][]> {
  const batch = plan.manifest.id;
  const share = tracedShare(sampling, plan.total);
  const drawn = places.filter((place) => isDrawn({ batch, document: at.first + place }, share));
  const ofPage = { batch, first: at.first, documents: at.documents };
  const found = new Map<number, FinishedSpan[]>();
  for (const tier of plan.tiers) {
    for (const job of await queues.find(tier, ofPage, drawn)) {
      const rules = plan.cascades[job.cascade];
      if (rules === undefined || !job.sampled) continue;
      const document = { job, rules };
      const spans = unfinishedSpans({ document, models: () => null, content: false, endedAtMs, error: error.code });
      // During a hand-off a document has a job in each of two queues: the longer one says all that was.
      if (spans !== null && spans.length > (found.get(job.place)?.length ?? 0)) found.set(job.place, spans);
    }
  }
  return [...found.values()];
}
