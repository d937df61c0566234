import type { DelayReason } from '../../document/delays.ts';
import { afterFailure, withLostCall, type DocumentJob, type Refused, type Unproven } from '../../document/job.ts';

/** What a tier knows of its server, by Redis' clock; 0: it never happened. */
export type TierFacts = {
  readonly nowMs: number;
  /** When its breaker last closed. */
  readonly closedAtMs: number;
  /** When the latest of the calls began that were answered: then, or later, its server worked. */
  readonly workedAtMs: number;
  /** Whether other calls were broken off at about the time when the document's was. */
  readonly brokeTogether: boolean;
};

/** A document that was refused more often is refused for itself: it holds up nobody else. */
const MAX_SHARED_REFUSALS = 3;

/** A document that was there so often when its server broke down is asked about while no other such one is. */
const ALONE_FROM_BREAKS = 2;

/**
 * One that was there more often is taken to have broken it. Once more than its being asked alone could show: beside it
 * another one was asked that had not broken the server yet. Of three guilty ones among 200 documents one neighbour in a
 * thousand was charged with one break fewer.
 */
const MAX_SHARED_BREAKS = 3;

/** A call that was begun after its server had gone shows nothing; but no document is asked about for ever. */
const MAX_GONE = 12;

/** Refusals with one more; `answeredAtMs` is when the server last answered about another document. */
export function afterRefusal(refused: Refused | undefined, answeredAtMs: number, nowMs: number): Refused {
  const times = refused?.times ?? 0;
  return { times: answeredAtMs > (refused?.atMs ?? 0) ? times + 1 : Math.max(1, times), atMs: nowMs };
}

/** Whether it is this document that its server refuses, and not whoever asks. */
export const isRefusedForItself = ({ times }: Refused): boolean => times > MAX_SHARED_REFUSALS;

/**
 * Whose fault an unproven failure was, by what happened since:
 *
 * - the breaker was open, or calls of others broke with it: its server's.
 * - the breaker stayed closed and others were answered whose calls began after it: the document's.
 * - neither: unknown.
 */
export function blameFor(
  { failedAtMs }: Pick<Unproven, 'failedAtMs'>,
  { nowMs, closedAtMs, workedAtMs, brokeTogether }: TierFacts,
): 'document' | 'server' | 'unknown' {
  // After a failover the clock may be another one: what lies ahead proves nothing.
  const isSince = (ms: number): boolean => ms > failedAtMs && ms <= nowMs;
  if (isSince(closedAtMs) || brokeTogether) return 'server';
  return isSince(workedAtMs) ? 'document' : 'unknown';
}

/** The job without its failure, which is its server's, or of another stage: a call that brought nothing. */
export function cleared(job: DocumentJob, reason: DelayReason = 'breaker'): DocumentJob {
  const { unproven, ...rest } = job;
  // Whose call it was the version before did not say.
  const isKnown = unproven?.stage === job.stage && unproven.take !== undefined;
  return isKnown ? withLostCall(rest, unproven, reason) : rest;
}

/**
 * The job after its server broke down: no attempt is used, but it is remembered that the document was there. Where it was
 * there too often it is taken to have done it, and pays.
 */
export function afterBreak(job: DocumentJob, maxAttempts: number): DocumentJob {
  const { unproven, foundGone = 0 } = job;
  const mayShowNothing = unproven?.wasGone === true && foundGone < MAX_GONE;
  return mayShowNothing ? { ...cleared(job), foundGone: foundGone + 1 } : withBreak(job, maxAttempts);
}

/**
 * The job after a failure beside which others were answered: the document's own, and an attempt is used. A call that
 * brought no answer and was begun when its server had gone may have found nothing either. But what was gone then may have
 * been this document's doing: so it counts as a break, and no longer than those are shared.
 */
export function afterOwnFailure(job: DocumentJob, maxAttempts: number): DocumentJob {
  const { unproven } = job;
  const foundNothing = unproven?.wasGone === true && unproven.answer === null;
  return foundNothing ? withBreak(job, maxAttempts) : charged(job, maxAttempts);
}

/** The job, one more time there when its server broke down; where that was too often, it pays. */
function withBreak(job: DocumentJob, maxAttempts: number): DocumentJob {
  const { breaks = 0 } = job;
  return breaks < MAX_SHARED_BREAKS ? { ...cleared(job), breaks: breaks + 1 } : charged(job, maxAttempts);
}

/**
 * Whether the document was there so often when its server broke down, a failure that may be one included, that it is
 * asked about while no other such one is.
 */
export const isAskedAlone = ({ breaks = 0, unproven }: Pick<DocumentJob, 'breaks' | 'unproven'>): boolean =>
  breaks + (unproven === undefined ? 0 : 1) >= ALONE_FROM_BREAKS;

/**
 * The job after a failure that was the document's own: an attempt is used. A refusal, and the last attempt, is its last
 * word from this stage, and stays written down as that.
 */
export function charged(job: DocumentJob, maxAttempts: number): DocumentJob {
  const { unproven, ...rest } = job;
  if (unproven === undefined) return job;
  const isLastWord = unproven.cause === 'operator' || !(job.usedAttempts + 1 < maxAttempts);
  return isLastWord ? job : afterFailure(rest, job.usedAttempts + 1, unproven, unproven.why);
}
