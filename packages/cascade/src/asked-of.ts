import { decideFault, isAsking, isBrokenOff, type DocumentJob, type ExtraCall } from '@spillway/core';
import type { Attempt } from '@spillway/models';
import type { StopReason } from '@spillway/runtime';
import type { AskedOnce } from './asked.ts';
import { answerOf, errorOf, noAnswerOf } from './failed-call.ts';

/** What a call's outcome means for the document that it was about, by the failure table. */
export function askedOf(attempt: Attempt, job: DocumentJob): AskedOnce {
  if (attempt.kind === 'aborted') return { kind: 'stopped', reason: stopReason(attempt.reason) };
  const { startedAtMs, endedAtMs } = attempt;
  if (attempt.kind === 'completed') {
    const { status, requestId, body, completion, refusal = null } = attempt;
    const answer = { status, requestId, body, usage: completion.usage };
    return { kind: 'answered', completion, answer, refusal, stopped: null, startedAtMs, endedAtMs };
  }
  const { fault } = attempt;
  const decision = decideFault(fault, {
    usedAttempts: job.usedAttempts + 1,
    refusals: job.refused?.times ?? 0,
    jitter: Math.random(),
  });
  const why = errorOf(fault);
  if (decision.kind === 'hold') return { ...decision, why, startedAtMs, endedAtMs };
  const answer = answerOf(fault);
  const error = noAnswerOf(fault);
  if (decision.kind === 'unproven') {
    const kinds = { isTimeout: fault.kind === 'timeout', isBrokenOff: isBrokenOff(fault) };
    return { ...decision, ...kinds, answer, error, why, startedAtMs, endedAtMs };
  }
  if (decision.rejected && answer !== null) return { kind: 'rejected', answer, why, startedAtMs, endedAtMs };
  return { kind: 'exhausted', answer, error, why, startedAtMs, endedAtMs };
}

/** Why a call was given up, as a process says it that stops. */
function stopReason(reason: unknown): StopReason {
  const known = (['cancelled', 'expired', 'server_down', 'call_lost'] as const).find((one) => one === reason);
  return known ?? 'shutdown';
}

/**
 * Whether a failed call of several ends the attempt. Where a stage has other ways to ask, an answer that failed is no
 * reason to: nobody has asked for the whole yet. But one that broke off may have taken its server down.
 */
export const isInterrupting = (
  asked: AskedOnce,
  purpose: ExtraCall['purpose'],
): asked is Extract<AskedOnce, { kind: 'unproven' }> =>
  asked.kind === 'unproven' && (!isAsking(purpose) || asked.isBrokenOff || asked.isTimeout);
