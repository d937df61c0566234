import { JOB_VERSION, type DocumentJob } from '@spillway/core';

/** A document as it is fed, with what a test says of it. */
export function jobOf(given: Partial<DocumentJob> & Pick<DocumentJob, 'batch' | 'document'>): DocumentJob {
  return {
    v: JOB_VERSION,
    page: 0,
    place: given.document,
    customId: `doc-${given.document}`,
    cascade: 'test',
    rules: {
      drafter: 'small',
      expert: 'large',
      confidence: { signal: { name: 'mean_logprob' }, calibration: null },
      both: false,
      limits: { contextTokens: null, images: true, tools: true },
      acceptAt: 0.8,
      onDeadline: 'error',
      annotate: true,
      draftPrice: null,
      expertPrice: null,
    },
    endpoint: '/v1/chat/completions',
    body: { model: 'test', messages: [{ role: 'user', content: 'x' }] },
    sampled: false,
    fedAtMs: 0,
    deadlineMs: Number.MAX_SAFE_INTEGER,
    tries: 0,
    waitingSinceMs: 0,
    attempts: [],
    handedOverAtMs: null,
    draft: null,
    ...given,
  };
}
