import { breakerWaitsMs, type Hold } from '@spillway/core';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const openScript = new Script('breaker_open');
const closeScript = new Script('breaker_close');
const leaveScript = new Script('breaker_leave');
const stateScript = new Script('breaker_state');

/** A breaker that nobody probes for so long, as nothing waits for it, is closed again: what it says is old. */
export const FORGET_OPEN_AFTER_MS = 600_000;

/** Longer than any call: what a call says that began before the breaker closed is of the past. */
const FORGET_CLOSED_AFTER_MS = 86_400_000;

/** How long a call that probes a server may take before another one probes it too. */
export const PROBE_MS = 10_000;

/**
 * A tier's circuit breaker, for all its workers:
 *
 *     closed ──a call says that the server is down, or asks to wait──▶ open ──its time is over, one call goes──▶ half_open
 *       ▲                                                               ▲                                          │
 *       │                                                               └──the probe failed, for longer────────────┤
 *       └───────────────────────────────a call was answered────────────────────────────────────────────────────────┘
 */
export type BreakerState = {
  /** `closed`: calls flow. `open`: none does. `half_open`: one call probes the server. */
  readonly state: 'closed' | 'open' | 'half_open';
  /** Why it is not closed; null: it is. */
  readonly reason: string | null;
};

/** What became of a verdict that opens a breaker. */
export type BreakerOpening = {
  /** Until the server may be probed; 0: the breaker stays closed, as the verdict is of the past. */
  readonly waitMs: number;
  /** The number of this opening in a row; 0: one of the calls that were under way together opened it already. */
  readonly openings: number;
};

/** Opens a tier's breaker; what is in its queue waits, nothing fails. `ageMs`: since the call began. */
export async function openBreaker(
  redis: RedisStore,
  tier: string,
  { reason, retryAfterMs }: Pick<Hold, 'reason' | 'retryAfterMs'>,
  ageMs: number,
): Promise<BreakerOpening> {
  const asked = retryAfterMs === null ? '' : Math.ceil(retryAfterMs);
  const args = [reason, Math.round(ageMs), asked, FORGET_OPEN_AFTER_MS, ...breakerWaitsMs(Math.random())];
  const answer = await openScript.run(redis.client, [redis.keys.breaker(tier)], args);
  const [waitMs, openings] = answer as [number, number];
  return { waitMs, openings };
}

/** A call was answered: all may ask again. WAIT: the server asked to be left alone for longer. */
export async function closeBreaker(redis: RedisStore, tier: string): Promise<'CLOSED' | 'ALREADY' | 'WAIT'> {
  const answer = await closeScript.run(redis.client, [redis.keys.breaker(tier)], [FORGET_CLOSED_AFTER_MS]);
  return answer as 'CLOSED' | 'ALREADY' | 'WAIT';
}

/** A call that was to probe the server `untilMs` was given up, or says nothing of the server: another one may. */
export async function leaveProbe(redis: RedisStore, tier: string, untilMs: number): Promise<void> {
  await leaveScript.run(redis.client, [redis.keys.breaker(tier)], [untilMs]);
}

export async function readBreaker(redis: RedisStore, tier: string): Promise<BreakerState> {
  const answer = await stateScript.run(redis.client, [redis.keys.breaker(tier)], []);
  const [state, reason] = answer as [BreakerState['state'], string];
  return { state, reason: state === 'closed' ? null : reason };
}
