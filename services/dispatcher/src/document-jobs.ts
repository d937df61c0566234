import {
  drawnShare,
  isDrawn,
  newJob,
  skipUnfit,
  stageTier,
  type DocumentJob,
  type DocumentRequest,
} from '@spillway/core';
import type { Queues } from '@spillway/redis';
import type { Sampling } from '@spillway/runtime';
import type { BatchPlan } from '@spillway/storage';

/** Where documents go, and which of their traces are kept; `sampling` is null where there is nowhere to send traces. */
export type JobTarget = { readonly queues: Queues; readonly sampling: Sampling | null };

/** Documents of a page; `places` are the indices in the page of those that get a job. */
export type PageDocuments = {
  readonly plan: BatchPlan;
  readonly page: number;
  readonly documents: readonly DocumentRequest[];
  readonly places: readonly number[];
};

/**
 * Puts documents of a page into the queues of their first stages. A document that a first model is known not to take
 * begins at the first stage that can take it.
 */
export async function addDocuments(
  { queues, sampling }: JobTarget,
  { plan, page, documents, places }: PageDocuments,
): Promise<void> {
  const share = tracedShare(sampling, plan.total);
  const now = Date.now();
  const byTier = new Map<string, DocumentJob[]>();
  for (const place of places) {
    const request = documents[place];
    const rules = request === undefined ? undefined : plan.cascades[request.cascade];
    if (request === undefined || rules === undefined) continue;
    const job = skipUnfit({ job: jobOf({ plan, page, place, request, share, now }), rules }, now);
    const tier = stageTier(rules, job.stage);
    const jobs = byTier.get(tier);
    if (jobs === undefined) byTier.set(tier, [job]);
    else jobs.push(job);
  }
  for (const [tier, jobs] of byTier) {
    const firstTag = await queues.takeTags(tier, plan.manifest.id, jobs.length);
    await queues.add(tier, jobs, firstTag);
  }
}

type NewDocument = {
  readonly plan: BatchPlan;
  readonly page: number;
  readonly place: number;
  readonly request: DocumentRequest;
  /** Of the batch's documents whose traces are kept. */
  readonly share: number;
  readonly now: number;
};

function jobOf({ plan, page, place, request, share, now }: NewDocument): DocumentJob {
  const { id: batch, endpoint, expiresAtMs } = plan.manifest;
  const document = (plan.pages[page]?.first ?? 0) + place;
  return newJob({
    batch,
    document,
    page,
    place,
    customId: request.customId,
    cascade: request.cascade,
    endpoint,
    body: request.body,
    sampled: isDrawn({ batch, document }, share),
    enqueuedAtMs: now,
    deadlineMs: expiresAtMs,
  });
}

/** The share of a batch's documents whose traces are kept whatever comes of them. */
function tracedShare(sampling: Sampling | null, documents: number): number {
  if (sampling === null) return 0;
  return sampling.kind === 'share' ? sampling.share : drawnShare(sampling.perBatch, documents);
}
