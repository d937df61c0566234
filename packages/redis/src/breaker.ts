import {
  closedBreaker,
  joinDelays,
  openedBreaker,
  type Breaker,
  type BreakerCause,
  type Delay,
  type Opening,
} from '@spillway/core';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const readScript = new Script('breaker_read');
const writeScript = new Script('breaker_write');
const leaveScript = new Script('breaker_leave');
const noteBrokenScript = new Script('note_broken');

/** An open breaker that nobody probes for so long, as nothing waits for it, is closed again: what it says is old. */
const FORGET_OPEN_AFTER_MS = 600_000;

/** Longer than any call: what a call says that began before the breaker closed is of the past. */
export const FORGET_CLOSED_AFTER_MS = 86_400_000;

/** How long a call that probes a server may take before another one probes it too. */
export const PROBE_MS = 10_000;

/** Calls that were broken off within so long of each other broke together: their server went down, or one of several. */
export const TOGETHER_MS = 250;

/** Longer than a document whose call was broken off waits until that is judged. */
const FORGET_BROKEN_AFTER_MS = 600_000;

/** So many of the times that a breaker was open are remembered, which is for an hour at least. */
const MAX_HOLDS = 128;

/** Reading the clock and writing take a moment. */
const MAX_REOPENING_MS = 1_000;

/** Somebody else opened or closed it between reading and writing: it is read again. */
const MAX_WRITES = 5;

/** Where a tier's breaker stands. */
export type BreakerState = {
  /**
   * `closed`: calls flow. `held`: none is begun for a while, as the server asked for it. `open`: none is, as the server is
   * down or wrongly set up. `half_open`: one call probes the server.
   */
  readonly state: 'closed' | 'held' | 'open' | 'half_open';
  /** Why it is not closed; null: it is. */
  readonly reason: string | null;
};

/** What became of a verdict that opens a breaker. */
export type BreakerOpening = {
  /** `opened`: by this verdict. `joined`: it was open. `past`, `answered`: it stays closed. */
  readonly kind: 'opened' | 'joined' | 'past' | 'answered';
  /** Until the server may be probed; 0: the breaker stays closed. */
  readonly waitMs: number;
  /** How often it opened in a row. */
  readonly openings: number;
  /** Why it is open; null: it stays closed. */
  readonly cause: BreakerCause | null;
};

/** Opens a tier's breaker, if what a call says is still so; what is in its queue waits, nothing fails. */
export async function openBreaker(redis: RedisStore, tier: string, opening: Opening): Promise<BreakerOpening> {
  for (let writes = 1; ; writes += 1) {
    const { breaker, nowMs } = await read(redis, tier);
    const became = openedBreaker(breaker, opening, nowMs, Math.random());
    if (became.kind === 'past' || became.kind === 'answered') {
      return { kind: became.kind, waitMs: 0, openings: 0, cause: null };
    }
    const { untilMs, openings, cause } = became.breaker;
    const waitMs = Math.max(1, untilMs - nowMs);
    const keepMs = waitMs + FORGET_OPEN_AFTER_MS;
    if (became.kind === 'joined' || writes > MAX_WRITES) return { kind: 'joined', waitMs, openings, cause };
    if (await write(redis, tier, { from: breaker, to: became.breaker, keepMs })) {
      return { kind: 'opened', waitMs, openings, cause };
    }
  }
}

/** A call was answered: all may ask again. WAIT: the server asked to be left alone for longer. */
export async function closeBreaker(redis: RedisStore, tier: string): Promise<'CLOSED' | 'ALREADY' | 'WAIT'> {
  for (let writes = 1; ; writes += 1) {
    const { breaker, nowMs } = await read(redis, tier);
    if (breaker.reason === null) return 'ALREADY';
    const closed = closedBreaker(breaker, nowMs);
    if (closed === null || writes > MAX_WRITES) return 'WAIT';
    if (await write(redis, tier, { from: breaker, to: closed, keepMs: FORGET_CLOSED_AFTER_MS })) return 'CLOSED';
  }
}

/** A call that was to probe the server `untilMs` was given up, or says nothing of the server: another one may. */
export async function leaveProbe(redis: RedisStore, tier: string, untilMs: number): Promise<void> {
  await leaveScript.run(redis.client, [redis.keys.breaker(tier)], ['probingUntil', untilMs]);
}

/** The call of a document that is asked alone is over: the next such one may be asked. */
export async function leaveAlone(redis: RedisStore, tier: string, document: string): Promise<void> {
  await leaveScript.run(redis.client, [redis.keys.breaker(tier)], ['alone', document]);
}

/** The call of a document was broken off, by Redis' clock at `failedAtMs`: whoever takes it up next sees who broke with it. */
export async function noteBroken(
  redis: RedisStore,
  tier: string,
  { document, failedAtMs }: { readonly document: string; readonly failedAtMs: number },
): Promise<void> {
  await noteBrokenScript.run(redis.client, [redis.keys.broken(tier)], [document, failedAtMs, FORGET_BROKEN_AFTER_MS]);
}

/** When a tier's breaker was open, as far as it is remembered, and is open now; in their order. */
export async function readHolds(redis: RedisStore, tier: string): Promise<readonly Delay[]> {
  const [noted, { breaker, nowMs }] = await Promise.all([
    redis.client.lrange(redis.keys.holds(tier), 0, -1),
    read(redis, tier),
  ]);
  const holds = noted.map((text) => {
    const [from, to, cause] = text.split(' ');
    return holdOf(Number(from), Number(to), cause as BreakerCause);
  });
  const all = breaker.cause === null ? holds : [...holds, holdOf(breaker.openedAtMs, nowMs, breaker.cause)];
  // One that was opened again by the call that probed was open all the while.
  return joinDelays(all, MAX_REOPENING_MS);
}

const holdOf = (fromMs: number, toMs: number, cause: BreakerCause): Delay => ({
  reason: cause === 'asked' ? 'backpressure' : 'breaker',
  fromMs,
  toMs,
});

export async function readBreaker(redis: RedisStore, tier: string): Promise<BreakerState> {
  const { breaker, nowMs, probingUntilMs } = await read(redis, tier);
  const { reason, cause, untilMs } = breaker;
  if (reason === null) return { state: 'closed', reason: null };
  if (nowMs < probingUntilMs) return { state: 'half_open', reason };
  return { state: cause === 'asked' && nowMs < untilMs ? 'held' : 'open', reason };
}

type Read = { readonly breaker: Breaker; readonly nowMs: number; readonly probingUntilMs: number };

async function read(redis: RedisStore, tier: string): Promise<Read> {
  const answer = await readScript.run(redis.client, [redis.keys.breaker(tier)], []);
  const [nowMs, reason, cause, ...times] = answer as [number, string | null, BreakerCause | null, ...(string | null)[]];
  const [untilMs = 0, openedAtMs = 0, openings = 0, closedAtMs = 0, answeredAtMs = 0, probingUntilMs = 0] =
    times.map(Number);
  // A process of before says no cause.
  const known = reason === null ? null : (cause ?? 'down');
  const breaker = { reason, cause: known, untilMs, openedAtMs, openings, closedAtMs, answeredAtMs };
  return { breaker, nowMs, probingUntilMs };
}

async function write(
  redis: RedisStore,
  tier: string,
  { from, to, keepMs }: { readonly from: Breaker; readonly to: Breaker; readonly keepMs: number },
): Promise<boolean> {
  const shown = (ms: number): string => (ms === 0 ? '' : String(ms));
  const fields = {
    reason: to.reason ?? '',
    cause: to.cause ?? '',
    until: shown(to.untilMs),
    openedAt: shown(to.openedAtMs),
    openings: shown(to.openings),
    closedAt: shown(to.closedAtMs),
  };
  const known = [shown(from.openedAtMs), shown(from.closedAtMs)];
  const args = [...known, keepMs, MAX_HOLDS, FORGET_CLOSED_AFTER_MS, ...Object.entries(fields).flat()];
  return (await writeScript.run(redis.client, [redis.keys.breaker(tier), redis.keys.holds(tier)], args)) === 'WROTE';
}
