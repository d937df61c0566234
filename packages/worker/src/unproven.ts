import type { DocumentJob, Unproven } from '@spillway/core';
import type { RedisClock } from '@spillway/redis';
import type { Verdict } from './document-worker.ts';

/** The failure of a document that was asked alone when its server went away, again. */
export function wentAway({ stage }: DocumentJob, clock: RedisClock): Unproven {
  const message = 'the model server went away during the call';
  const now = Date.now();
  const failedAtMs = clock.latest(performance.now());
  const why = { type: 'reset', message };
  const error = { code: 'server_error', message };
  return { stage, cause: 'ambiguous', answer: null, error, why, startedAtMs: now, endedAtMs: now, failedAtMs };
}

/** A failure by Redis' clock, which all workers share: it happened now. */
export function stamped(verdict: Extract<Verdict, { kind: 'unproven' }>, clock: RedisClock): typeof verdict {
  const failedAtMs = clock.latest(performance.now());
  return { ...verdict, job: { ...verdict.job, unproven: { ...verdict.job.unproven, failedAtMs } } };
}
