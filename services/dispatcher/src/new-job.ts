import { newJob, type DocumentJob, type DocumentRequest } from '@spillway/core';
import type { BatchPlan } from '@spillway/storage';

/** A document of a page that nobody was asked about yet. */
export type NewDocument = {
  readonly plan: BatchPlan;
  readonly page: number;
  /** Index in the page. */
  readonly place: number;
  readonly request: DocumentRequest;
  /** Its trace is kept whatever comes of it. */
  readonly sampled: boolean;
  readonly now: number;
};

/** Its job at the first stage. */
export function newDocumentJob({ plan, page, place, request, sampled, now }: NewDocument): DocumentJob {
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
    sampled,
    enqueuedAtMs: now,
    deadlineMs: expiresAtMs,
  });
}
