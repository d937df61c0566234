import type { DocumentJob, Refused } from './job.ts';

/** How a call to a model server went wrong. */
export type Fault =
  | {
      readonly kind: 'http';
      readonly status: number;
      readonly body: unknown;
      readonly retryAfterMs: number | null;
      readonly requestId: string | null;
    }
  /** Nothing of the request reached the server. */
  | { readonly kind: 'unreachable'; readonly message: string }
  | { readonly kind: 'timeout'; readonly message: string }
  /** The connection broke after the request was sent. */
  | { readonly kind: 'reset'; readonly message: string }
  /** An answer that is no completion. The status is null if it was not even HTTP. */
  | { readonly kind: 'garbled'; readonly status: number | null; readonly message: string };

export type FaultDecision =
  /** Not the document's fault: no try is used. The tier's gate closes, or its worker asks fewer at a time. */
  | ({ readonly kind: 'gate' } & GateCall)
  /** A try is used, and the document has more. */
  | { readonly kind: 'again'; readonly afterMs: number }
  /** The document's last word from this tier; `rejected` if the server called the request itself wrong (a 4xx). */
  | { readonly kind: 'final'; readonly rejected: boolean };

/** What a call says of its server, or of its limits, that is not the document's fault. */
export type GateCall = {
  /** For how long the server asks to be left alone; null: it does not say. */
  readonly toldMs: number | null;
  readonly reason: string;
  /**
   * `down`: it answers nobody. `refused`: it answered that it is not available (503); `limited`: that this was too much
   * (429). Both may be about this one request only.
   */
  readonly says: 'down' | 'refused' | 'limited';
};

/** A server may ask for a pause, but not for one that outlives the batch. */
const TOLD_WAIT_MAX_MS = 3_600_000;

/** A try costs a model call, so it waits long enough for a crashed server's load to move elsewhere. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MAX_MS = 30_000;

/** Behind a closed gate one call at a time tries whether the server is there again; a restart takes seconds to minutes. */
const GATE_FIRST_MS = 500;
const GATE_MAX_MS = 30_000;
const GATE_CLOSINGS = 7;

/** A document that was refused more often is refused for itself: it holds up nobody else. */
const REFUSED_FOR_ITSELF = 3;

/** So often, each time after a longer wait: in all four to seven minutes. The next refusal is its answer. */
const REFUSED_FOR_GOOD = 20;

/**
 * Retry or not, for both tiers. `tries` counts the document's tries with this one, `refusals` those before it; `jitter`
 * is 0…1, from the caller, so that many documents do not come back at the same moment.
 */
export function decideFault(
  fault: Fault,
  { tries, maxTries, refusals, jitter }: Record<'tries' | 'maxTries' | 'refusals' | 'jitter', number>,
): FaultDecision {
  if (fault.kind === 'unreachable') return { kind: 'gate', toldMs: null, reason: fault.message, says: 'down' };
  if (fault.kind === 'http') {
    const reason = gateReason(fault.status);
    const says = SAYS[fault.status] ?? 'down';
    if (says !== 'down' && refusals >= REFUSED_FOR_GOOD) return { kind: 'final', rejected: false };
    if (reason !== null) return { kind: 'gate', toldMs: toldWaitMs(fault.retryAfterMs), reason, says };
    if (isRejection(fault.status)) return { kind: 'final', rejected: true };
  }
  if (!(tries < maxTries)) return { kind: 'final', rejected: false };
  const toldMs = fault.kind === 'http' ? toldWaitMs(fault.retryAfterMs) : null;
  return { kind: 'again', afterMs: Math.max(backoffMs(tries, jitter, AGAIN_FIRST_MS, AGAIN_MAX_MS), toldMs ?? 0) };
}

/** How often a document was refused in its present tier; an older drafter hands its own refusals over. */
export function refusalsOf({ refused, handedOverAtMs }: DocumentJob): number {
  return refused === undefined || refused.atMs < (handedOverAtMs ?? 0) ? 0 : refused.times;
}

/** A document's refusals with one more; `heardAtMs` is when its server last answered about another one. */
export function afterRefusal(job: DocumentJob, heardAtMs: number, nowMs: number): Refused {
  const times = refusalsOf(job);
  return { times: heardAtMs > (job.refused?.atMs ?? 0) ? times + 1 : Math.max(1, times), atMs: nowMs };
}

/** Whether it is this document that its server refuses, and not whoever asks. */
export const isRefusedForItself = ({ times }: Refused): boolean => times > REFUSED_FOR_ITSELF;

/**
 * How long a server is left alone that did not say for how long: `failures` counts what failed in a row, from 1;
 * `jitter` is 0…1. So long a gate stays closed, a worker rests, and a refused document waits.
 */
export function gateBackoffMs(failures: number, jitter: number): number {
  return backoffMs(failures, jitter, GATE_FIRST_MS, GATE_MAX_MS);
}

/** The same for the first closing in a row, the second, and so on; the last holds for all after it. */
export function gateWaitsMs(jitter: number): number[] {
  return Array.from({ length: GATE_CLOSINGS }, (_, closings) => gateBackoffMs(closings + 1, jitter));
}

/** A wrong key (401) is the operator's fault and hits every document alike, so it waits like a server that is down. */
function gateReason(status: number): string | null {
  if (status === 429) return 'the model server limits the rate (429)';
  if (status === 503) return 'the model server is not available (503)';
  if (status === 401) return 'the model server does not take the API key (401)';
  return null;
}

const SAYS: Readonly<Record<number, GateCall['says']>> = { 429: 'limited', 503: 'refused' };

/** Whether a fault shows that the server works: it understood the request and called it wrong. */
export function isUnderstood(fault: Fault): boolean {
  return fault.kind === 'http' && isRejection(fault.status) && gateReason(fault.status) === null;
}

/** 408 and 409 are about the moment, every other 4xx about the request. */
function isRejection(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 409;
}

function toldWaitMs(retryAfterMs: number | null): number | null {
  if (retryAfterMs === null || !(retryAfterMs >= 0)) return null;
  return Math.min(retryAfterMs, TOLD_WAIT_MAX_MS);
}

/** Doubles up to the limit; the jitter takes off up to a half. */
function backoffMs(count: number, jitter: number, firstMs: number, maxMs: number): number {
  const doublings = Number.isFinite(count) ? Math.min(30, Math.max(0, count - 1)) : 30;
  const fullMs = Math.min(maxMs, firstMs * 2 ** doublings);
  const share = jitter >= 0 && jitter <= 1 ? jitter : 0.5;
  return Math.round(fullMs * (0.5 + share / 2));
}
