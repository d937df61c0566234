import { holdBackoffMs } from './failure/decision.ts';

/** Why a tier's calls are held: its server is down, is wrongly set up, or asked to be left alone for a while. */
export type BreakerCause = 'down' | 'operator' | 'asked';

/**
 * A tier's circuit breaker, for all its workers. Times are by one clock, in Unix milliseconds; 0: it never happened.
 *
 *     closed ──the server answers nobody, or asked to wait──▶ open, held ──its time is over, one call goes──▶ half_open
 *       ▲                                                       ▲                                                │
 *       │                                                       └──────it failed: for longer─────────────────────┤
 *       └───────────────────────────────a call was answered──────────────────────────────────────────────────────┘
 */
export type Breaker = {
  /** Why it is not closed; null: it is. */
  readonly reason: string | null;
  readonly cause: BreakerCause | null;
  /** Until when no call is begun. */
  readonly untilMs: number;
  readonly openedAtMs: number;
  /** How often it opened in a row. */
  readonly openings: number;
  readonly closedAtMs: number;
  /** When a document was last answered, as far as workers told. */
  readonly answeredAtMs: number;
};

/** What opens a breaker. */
export type Opening = {
  readonly cause: BreakerCause;
  readonly reason: string;
  /** For how long the server asked to be left alone; null: it did not. */
  readonly askedMs: number | null;
  /** When the call began that says so. */
  readonly begunAtMs: number;
  /** Since when nobody was answered, as far as the worker knows that says so. */
  readonly sinceMs: number;
};

/** What becomes of it. */
export type Opened =
  /** It opens, for the first time or again. */
  | { readonly kind: 'opened'; readonly breaker: Breaker }
  /** It is open already. */
  | { readonly kind: 'joined'; readonly breaker: Breaker }
  /** It stays closed: what the call says is of the past. */
  | { readonly kind: 'past' }
  /** It stays closed: another worker was answered meanwhile. */
  | { readonly kind: 'answered' };

/** After so many openings in a row the wait grows no more. */
const MAX_OPENINGS = 7;

/** After a failover the clock may be another one. */
const isPast = (atMs: number, nowMs: number): boolean => atMs <= nowMs;

/**
 * A breaker after a call says that its server answers nobody, or asks to be left alone. Calls that were under way
 * together are one opening: what a call says that began before it opened, or before it last closed, changes nothing. A
 * call that probed opens it anew, for longer. `jitter` is 0 to 1.
 */
export function openedBreaker(known: Breaker, opening: Opening, nowMs: number, jitter: number): Opened {
  const { cause, reason, askedMs, begunAtMs, sinceMs } = opening;
  if (known.reason === null && begunAtMs < known.closedAtMs && isPast(known.closedAtMs, nowMs)) return { kind: 'past' };
  if (known.answeredAtMs > sinceMs && isPast(known.answeredAtMs, nowMs)) return { kind: 'answered' };
  if (known.reason !== null && (nowMs < known.untilMs || begunAtMs < known.openedAtMs)) {
    return { kind: 'joined', breaker: known };
  }
  const openings = known.reason === null ? 1 : Math.min(known.openings + 1, MAX_OPENINGS);
  const waitMs = askedMs === null ? holdBackoffMs(openings, jitter) : Math.max(askedMs, 1);
  const breaker = { ...known, reason, cause, untilMs: nowMs + Math.ceil(waitMs), openedAtMs: nowMs, openings };
  return { kind: 'opened', breaker };
}

/** A breaker after a call was answered; null: it stays as it is, as the server asked to be left alone for longer. */
export function closedBreaker(known: Breaker, nowMs: number): Breaker | null {
  if (known.cause === 'asked' && nowMs < known.untilMs) return null;
  return { ...known, reason: null, cause: null, untilMs: 0, openedAtMs: 0, openings: 0, closedAtMs: nowMs };
}
