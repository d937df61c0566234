import { backoffMs, type Backoff } from './backoff.ts';

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

/** What a call says of its server, or of its limits, that is not the document's fault. */
export type Hold = {
  /** For how long the server asks to be left alone; null: it does not say. */
  readonly retryAfterMs: number | null;
  readonly reason: string;
  /**
   * `down`: it answers nobody. `unavailable`: it answered that it is not available (503); `limited`: that this was too
   * much (429). The last two may be about this one request only.
   */
  readonly server: 'down' | 'unavailable' | 'limited';
};

/** What a fault means for the document. */
export type FaultDecision =
  /** Not the document's fault: no attempt is used. The tier's breaker opens, or its worker asks fewer at a time. */
  | ({ readonly kind: 'hold' } & Hold)
  /** An attempt is used, and the document has more. */
  | { readonly kind: 'retry'; readonly afterMs: number }
  /** The document's last word from this stage; `rejected` if the server called the request itself wrong (a 4xx). */
  | { readonly kind: 'final'; readonly rejected: boolean };

/** How often a document was refused (429, 503) though its server answered others in between, and when it last was. */
export type Refused = { readonly times: number; readonly atMs: number };

/** A server may ask for a pause, but not for one that outlives the batch. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** An attempt costs a model call, so it waits long enough for a crashed server's load to move elsewhere. */
const RETRY: Backoff = { firstMs: 500, maxMs: 30_000 };

/** A server that is down is probed by one call at a time; a restart takes seconds to minutes. */
const HOLD: Backoff = { firstMs: 500, maxMs: 30_000 };

/** After so many openings of a breaker in a row the wait grows no more. */
const MAX_OPENINGS = 7;

/** A document that was refused more often is refused for itself: it holds up nobody else. */
const MAX_SHARED_REFUSALS = 3;

/** So often, each time after a longer wait: in all four to seven minutes. The next refusal is its answer. */
const MAX_REFUSALS = 20;

/**
 * What a failed call means, for every stage. `usedAttempts` counts the document's attempts with this one, `refusals` its
 * refusals before it; `jitter` is 0 to 1.
 *
 * | fault | decision |
 * |---|---|
 * | unreachable; 401 | hold: `down` |
 * | 503 | hold: `unavailable`, until the document was refused too often |
 * | 429 | hold: `limited`, until the document was refused too often |
 * | other 4xx but 408 and 409 | final, rejected |
 * | everything else | retry while attempts are left, then final |
 */
export function decideFault(
  fault: Fault,
  {
    usedAttempts,
    maxAttempts,
    refusals,
    jitter,
  }: Record<'usedAttempts' | 'maxAttempts' | 'refusals' | 'jitter', number>,
): FaultDecision {
  if (fault.kind === 'unreachable') return { kind: 'hold', retryAfterMs: null, reason: fault.message, server: 'down' };
  if (fault.kind === 'http') {
    const held = HELD[fault.status];
    if (held !== undefined && held.server !== 'down' && refusals >= MAX_REFUSALS) {
      return { kind: 'final', rejected: false };
    }
    if (held !== undefined) return { kind: 'hold', retryAfterMs: boundedRetryAfterMs(fault.retryAfterMs), ...held };
    if (isRejection(fault.status)) return { kind: 'final', rejected: true };
  }
  if (!(usedAttempts < maxAttempts)) return { kind: 'final', rejected: false };
  const askedMs = fault.kind === 'http' ? boundedRetryAfterMs(fault.retryAfterMs) : null;
  return { kind: 'retry', afterMs: Math.max(backoffMs(usedAttempts, jitter, RETRY), askedMs ?? 0) };
}

/** A wrong key (401) is the operator's fault and hits every document alike, so it waits like a server that is down. */
const HELD: Readonly<Record<number, Pick<Hold, 'reason' | 'server'>>> = {
  401: { reason: 'the model server does not take the API key (401)', server: 'down' },
  429: { reason: 'the model server limits the rate (429)', server: 'limited' },
  503: { reason: 'the model server is not available (503)', server: 'unavailable' },
};

/** Refusals with one more; `answeredAtMs` is when the server last answered about another document. */
export function afterRefusal(refused: Refused | undefined, answeredAtMs: number, nowMs: number): Refused {
  const times = refused?.times ?? 0;
  return { times: answeredAtMs > (refused?.atMs ?? 0) ? times + 1 : Math.max(1, times), atMs: nowMs };
}

/** Whether it is this document that its server refuses, and not whoever asks. */
export const isRefusedForItself = ({ times }: Refused): boolean => times > MAX_SHARED_REFUSALS;

/**
 * How long a server is left alone that did not say for how long: `failures` counts what failed in a row, from 1. So long
 * a breaker stays open, a worker pauses, and a refused document waits.
 */
export const holdBackoffMs = (failures: number, jitter: number): number => backoffMs(failures, jitter, HOLD);

/** The same for the first opening of a breaker in a row, the second, and so on; the last holds for all after it. */
export function breakerWaitsMs(jitter: number): number[] {
  return Array.from({ length: MAX_OPENINGS }, (_, openings) => holdBackoffMs(openings + 1, jitter));
}

/** Whether a fault shows that the server works: it understood the request and called it wrong. */
export function isUnderstood(fault: Fault): boolean {
  return fault.kind === 'http' && isRejection(fault.status) && HELD[fault.status] === undefined;
}

/** 408 and 409 are about the moment, every other 4xx about the request. */
function isRejection(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 409;
}

function boundedRetryAfterMs(retryAfterMs: number | null): number | null {
  if (retryAfterMs === null || !(retryAfterMs >= 0)) return null;
  return Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
}
