import { auditJobIdOf, bundleIdOf, jobIdOf, type DocumentJob } from '@spillway/core';

/**
 * BullMQ carries, it never decides: its attempts are without end, and what is finished goes at once. How soon a job that
 * failed comes again its worker says; by `backoff` one of an earlier version did.
 */
export const JOB_OPTIONS = {
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 1_000 },
  removeOnComplete: true,
  removeOnFail: true,
} as const;

/** The id and the name of a job for documents of one page: the scripts read the places of several in the name. */
export function namesOf(documents: readonly DocumentJob[]): { readonly id: string; readonly name: string } {
  const [first, ...more] = documents;
  if (first === undefined) throw new Error('a job without a document');
  const { batch, document, audit } = first;
  if (more.length > 0) return { id: bundleIdOf(batch, document), name: documents.map(({ place }) => place).join(',') };
  return { id: (audit === undefined ? jobIdOf : auditJobIdOf)(batch, document), name: 'document' };
}
