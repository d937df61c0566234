import { backoffMs, type Backoff } from '../backoff.ts';
import { classOf, operatorReason, type Fault } from './fault.ts';

/** What a call says of its server that is not the document's fault: no attempt is used. */
export type Hold = {
  /** For how long the server asks to be left alone; null: it does not say. */
  readonly retryAfterMs: number | null;
  readonly reason: string;
  /**
   * `down`: there is no server. `unavailable`: it says that it is not available (503). `limited`: it says that this was
   * too much (429). The last two may be about this request only.
   */
  readonly server: 'down' | 'unavailable' | 'limited';
};

/** What a fault means for the document. */
export type FaultDecision =
  /** Not the document's fault. The tier's breaker opens, or its worker asks fewer at a time, or the document waits. */
  | ({ readonly kind: 'hold' } & Hold)
  /** Whose fault it is shows what comes of others: the document's, and an attempt is used; or its server's. */
  | {
      readonly kind: 'unproven';
      readonly cause: 'ambiguous' | 'operator';
      readonly reason: string;
      readonly afterMs: number;
    }
  /** The document's last word from this stage; `rejected` if the server called the request itself wrong (a 4xx). */
  | { readonly kind: 'final'; readonly rejected: boolean };

/** A server may ask for a pause, but not for one that outlives the batch. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** An attempt costs a model call, so it waits long enough for a crashed server's load to move elsewhere. */
const RETRY: Backoff = { firstMs: 500, maxMs: 30_000 };

/** A server that is down is probed by one call at a time; a restart takes seconds to minutes. */
const HOLD: Backoff = { firstMs: 500, maxMs: 30_000 };

/** So often, each time after a longer wait: in all four to seven minutes. The next refusal is its answer. */
const MAX_REFUSALS = 20;

/**
 * What a failed call means, for every stage. `usedAttempts` counts the document's attempts with this one, `refusals` its
 * refusals before it with an answer to somebody else in between; `jitter` is 0 to 1.
 *
 * | class | decision |
 * |---|---|
 * | `request` | final, rejected |
 * | `limited`, `unavailable` | hold, until the document was refused too often |
 * | `down` | hold |
 * | `ambiguous`, `operator` | unproven |
 */
export function decideFault(
  fault: Fault,
  { usedAttempts, refusals, jitter }: Record<'usedAttempts' | 'refusals' | 'jitter', number>,
): FaultDecision {
  const told = fault.kind === 'http' ? boundedRetryAfterMs(fault.retryAfterMs) : null;
  const afterMs = Math.max(backoffMs(usedAttempts, jitter, RETRY), told ?? 0);
  const cause = classOf(fault);
  switch (cause) {
    case 'request':
      return { kind: 'final', rejected: true };
    case 'down':
      return { kind: 'hold', retryAfterMs: null, reason: faultReason(fault), server: 'down' };
    case 'limited':
    case 'unavailable':
      if (refusals >= MAX_REFUSALS) return { kind: 'final', rejected: false };
      return { kind: 'hold', retryAfterMs: told, reason: faultReason(fault), server: cause };
    case 'operator':
      return { kind: 'unproven', cause, reason: operatorReason(fault), afterMs };
    case 'ambiguous':
      return { kind: 'unproven', cause, reason: faultReason(fault), afterMs };
  }
}

/** A fault as a breaker gives it for its reason. */
export function faultReason(fault: Fault): string {
  if (fault.kind === 'garbled') return 'the model server answers with what is no completion';
  if (fault.kind !== 'http') return fault.message;
  if (fault.status === 429) return 'the model server limits the rate (429)';
  if (fault.status === 503) return 'the model server is not available (503)';
  if (fault.status === 529) return 'the model server is overloaded (529)';
  return `the model server fails (${fault.status})`;
}

/**
 * How long a server is left alone that did not say for how long: `failures` counts what failed in a row, from 1. So long
 * a breaker stays open, a worker pauses, and a refused document waits.
 */
export const holdBackoffMs = (failures: number, jitter: number): number => backoffMs(failures, jitter, HOLD);

/** Whether a fault shows that the server works: it understood the request and called it wrong. */
export const isUnderstood = (fault: Fault): boolean => classOf(fault) === 'request';

/** For how long a server may ask to be left alone. */
export function boundedRetryAfterMs(retryAfterMs: number | null): number | null {
  if (retryAfterMs === null || !(retryAfterMs >= 0)) return null;
  return Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
}
