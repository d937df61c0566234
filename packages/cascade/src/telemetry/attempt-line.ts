import {
  formatKindOf,
  isCalibrated,
  judgeIn,
  judgementOf,
  roleOf,
  stageOf,
  stagesOf,
  stageTier,
  type Answer,
  type Attempt,
  type CascadeDocument,
} from '@spillway/core';
import type { StageOutcome } from '../stage.ts';

/** An attempt as one line of the log says it: which document, by whom, how long it took, what was decided and why. */
export type AttemptLine = {
  readonly batch: string;
  readonly document: string;
  readonly cascade: string;
  /** From 1. */
  readonly stage: number;
  readonly tier: string;
  readonly role: string;
  /** From 1; of the present stage. */
  readonly attempt: number;
  /** The status of the model's answer, or a short name of what went wrong; null: the call was given up. */
  readonly status: number | string | null;
  readonly waitMs: number | null;
  readonly ms: number | null;
  readonly decision: Decided['decision'];
  readonly reason: string | null;
  readonly confidence: number | null;
  /** Whether a confidence comes from a calibration of such answers; null: the stage judges nothing. */
  readonly calibrated: boolean | null;
  /** The document had its result: the expert was asked to compare. */
  readonly audit?: true;
  /** Of the request and of the answer. */
  readonly bytes: { readonly request: number; readonly answer: number };
};

type Decided = {
  readonly decision: 'accepted' | 'answered' | 'failed' | 'escalated' | 'retry' | 'hold' | 'stopped';
  readonly reason: string | null;
  readonly confidence: number | null;
  readonly answer: Answer | null;
  readonly attempt: Attempt | null;
  /** It brought nothing: it is logged in any case. */
  readonly isFailure: boolean;
};

const NOTHING = { reason: null, confidence: null, answer: null, attempt: null, isFailure: false } as const;

function decided(document: CascadeDocument, outcome: StageOutcome): Decided {
  switch (outcome.kind) {
    case 'hold': {
      const { reason, startedAtMs, endedAtMs, why } = outcome;
      const attempt = { sinceMs: document.job.waitingSinceMs, startedAtMs, endedAtMs, error: why };
      return { ...NOTHING, decision: 'hold', reason, attempt, isFailure: true };
    }
    case 'stopped':
      return { ...NOTHING, decision: 'stopped', reason: outcome.reason };
    case 'unproven': {
      const { unproven, waitingSinceMs } = outcome.job;
      const { startedAtMs, endedAtMs, why } = unproven;
      const attempt = { sinceMs: waitingSinceMs, startedAtMs, endedAtMs, error: why };
      return { ...NOTHING, decision: 'retry', reason: why.message, attempt, isFailure: true };
    }
    case 'escalate': {
      const draft = outcome.job.drafts[outcome.job.stage];
      const { reason = null, confidence = null, answer = null, attempts = [] } = draft ?? {};
      const attempt = attempts.at(-1) ?? null;
      return { decision: 'escalated', reason, confidence, answer, attempt, isFailure: answer === null };
    }
    case 'settle': {
      const record = stagesOf(document, outcome.ending).at(-1);
      const attempt = record?.attempts.at(-1) ?? null;
      const { answer = null } = record ?? {};
      const confidence = record === undefined ? null : (judgementOf(record)?.confidence ?? null);
      if (record?.outcome === 'accepted') return { ...NOTHING, decision: 'accepted', confidence, answer, attempt };
      const isFailure = record?.outcome === 'failed';
      const reason = attempt?.error?.message ?? null;
      const decision = isFailure ? 'failed' : 'answered';
      return { decision, reason, confidence, answer, attempt, isFailure };
    }
  }
}

/** A status is a number, whether an answer has it or an error is named by it. */
function statusOf(type: string | undefined): number | string | null {
  if (type === undefined) return null;
  return /^\d{3}$/.test(type) ? Number(type) : type;
}

const whole = (ms: number): number => Math.max(0, Math.round(ms));
const bytesOf = (value: unknown): number => (value == null ? 0 : Buffer.byteLength(JSON.stringify(value)));

/**
 * The line of an attempt; null: it is not among those that are logged (`isChosen`), and did not fail. A last attempt whose
 * failure is not proven yet is told of when it is.
 */
export function attemptLine(document: CascadeDocument, outcome: StageOutcome, isChosen: boolean): AttemptLine | null {
  if (outcome.kind === 'unproven' && outcome.isLast) return null;
  const { decision, reason, confidence, answer, attempt, isFailure } = decided(document, outcome);
  // Of a stage that nothing is asked of there is no attempt.
  if ((!isChosen && !isFailure) || (outcome.kind === 'escalate' && attempt === null)) return null;
  const { job, rules } = document;
  const judge = judgeIn(stageOf(rules, job.stage));
  return {
    batch: job.batch,
    document: job.customId,
    cascade: job.cascade,
    stage: job.stage + 1,
    tier: stageTier(rules, job.stage),
    role: roleOf(rules, job.stage),
    attempt: job.attempts.length + 1,
    status: answer?.status ?? statusOf(attempt?.error?.type),
    waitMs: attempt === null ? null : whole(attempt.startedAtMs - attempt.sinceMs),
    ms: attempt === null ? null : whole(attempt.endedAtMs - attempt.startedAtMs),
    decision,
    reason,
    confidence,
    calibrated: judge === null ? null : isCalibrated(judge, formatKindOf(job.endpoint, job.body)),
    ...(job.audit === undefined ? {} : { audit: true }),
    bytes: { request: bytesOf(job.body), answer: bytesOf(answer?.body) },
  };
}
