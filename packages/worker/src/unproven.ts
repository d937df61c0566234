import {
  afterBreak,
  isAskedAlone,
  withLostCall,
  type DelayReason,
  type DocumentJob,
  type Hold,
  type Unproven,
} from '@spillway/core';
import type { RedisClock } from '@spillway/redis';
import type { StopReason } from '@spillway/runtime';
import type { Verdict } from './document-worker.ts';
import type { RunningCall } from './running-calls.ts';

/** A call that was given up just now. */
export function givenUp(
  { startedAtMs }: Pick<RunningCall, 'startedAtMs'>,
  clock: RedisClock,
): Omit<Unproven, 'stage' | 'take'> {
  const message = 'given up, as its answer was not to be expected any more';
  const [now, nowMs] = [performance.now(), Date.now()];
  return {
    cause: 'ambiguous',
    answer: null,
    error: { code: 'server_error', message },
    why: { type: 'given_up', message },
    startedAtMs: nowMs - (now - startedAtMs),
    endedAtMs: nowMs,
    failedAtMs: clock.latest(now),
  };
}

type GivenUp = {
  readonly given: ReturnType<typeof givenUp>;
  readonly reason: StopReason | undefined;
  readonly maxAttempts: number;
};

/**
 * The job after its call was given up. One that was asked alone when its server went away, again, may have done it: that
 * is its failure. Null: it stays as it is.
 */
export function afterGivingUp(job: DocumentJob, { given, reason, maxAttempts }: GivenUp): DocumentJob | null {
  switch (reason) {
    case 'server_down': {
      const isGuilty = isAskedAlone(job);
      const carrying = isGuilty
        ? { ...job, unproven: { ...given, stage: job.stage, take: job.take } }
        : withLostCall(job, given, 'breaker');
      return afterBreak(carrying, maxAttempts);
    }
    case 'call_lost':
      return { ...withLostCall(job, given, 'breaker'), mayTakeLong: true };
    case 'shutdown':
      return withLostCall(job, given, 'lost_worker');
    case 'cancelled':
    case 'expired':
    case undefined:
      return null;
  }
}

/** Why a document waits whose call brought nothing and used no attempt. */
export const delayReason = ({ server }: Pick<Hold, 'server'>): DelayReason =>
  server === 'down' ? 'breaker' : 'backpressure';

/** A failure by Redis' clock, which all workers share: it happened now. */
export function stamped(verdict: Extract<Verdict, { kind: 'unproven' }>, clock: RedisClock): typeof verdict {
  const failedAtMs = clock.latest(performance.now());
  return { ...verdict, job: { ...verdict.job, unproven: { ...verdict.job.unproven, failedAtMs } } };
}
