import { randomUUID } from 'node:crypto';
import type { Waiting } from '@spillway/core';
import type { RedisStore } from './store.ts';
import { redisNowMs } from './store.ts';
import { readBreaker, readHolds } from './breaker.ts';
import { Script } from './script.ts';

const heartbeatScript = new Script('heartbeat');

/** How often a worker process tells of itself, and after how long of silence it is gone. */
export const HEARTBEAT_MS = 5_000;
const SILENT_MS = 20_000;

/** When, calls at a time, and why it pauses, if it does. */
const HEARTBEAT = /^(\d+) (\d+) ?(.*)$/s;

/** What the workers of a tier tell of themselves. */
export type TierState = {
  /** Worker processes that are there. */
  readonly replicas: number;
  /** Calls at a time of one of them; null: there is none. */
  readonly concurrency: number | null;
  /** What a document takes of a slot, by the last who measured it; null: nobody has. */
  readonly secondsPerDocument: number | null;
  /** Why all its workers pause though the breaker is closed; null: one of them does not, or there is none. */
  readonly paused: string | null;
};

/** What a worker tells of itself beside that it is there. */
export type HeartbeatFacts = Pick<TierState, 'secondsPerDocument' | 'paused'> & { readonly concurrency: number };

/** Documents that the workers of a tier answer in a second; null: nobody works there, or has measured it. */
export function perSecondOf({ replicas, concurrency, secondsPerDocument }: TierState): number | null {
  if (concurrency === null || secondsPerDocument === null) return null;
  return (replicas * concurrency) / Math.max(1e-6, secondsPerDocument);
}

/** A worker process in one tier. */
export class Heartbeat {
  readonly #redis: RedisStore;
  readonly #tier: string;
  readonly #worker = randomUUID();

  constructor(redis: RedisStore, tier: string) {
    this.#redis = redis;
    this.#tier = tier;
  }

  async beat({ secondsPerDocument, paused, concurrency }: HeartbeatFacts): Promise<void> {
    const seconds = secondsPerDocument === null ? '' : String(secondsPerDocument);
    const keys = [this.#redis.keys.tier(this.#tier)];
    await heartbeatScript.run(this.#redis.client, keys, [this.#worker, concurrency, seconds, paused ?? '']);
  }

  /** Says that this worker goes. */
  async end(): Promise<void> {
    await this.#redis.client.hdel(this.#redis.keys.tier(this.#tier), this.#worker);
  }
}

/** What a tier's documents wait for. */
export type WaitingTier = Waiting & { readonly tier: string };

/** Why nobody works in a tier though it may have work: its breaker is not closed, or all its workers pause; else null. */
async function readHeld(redis: RedisStore, tier: string, { paused }: TierState): Promise<WaitingTier | null> {
  const { state, reason } = await readBreaker(redis, tier);
  if (state !== 'closed') {
    // The breaker itself says when it opened last, which is anew with every call that probed in vain.
    const sinceMs = (await readHolds(redis, tier)).at(-1)?.fromMs ?? null;
    return { tier, state, reason: reason ?? '', sinceMs };
  }
  return paused === null ? null : { tier, state: 'paused', reason: paused, sinceMs: null };
}

/** The same, or that documents are in its queue and it has no worker. */
export async function readWaiting(redis: RedisStore, tier: string): Promise<WaitingTier | null> {
  const state = await readTier(redis, tier);
  const held = await readHeld(redis, tier, state);
  if (held !== null || state.replicas > 0 || !(await hasJobs(redis, tier))) return held;
  return { tier, state: 'no_workers', reason: 'no worker of this tier is there', sinceMs: null };
}

/** Why a tier is held, and nothing of who works there. */
export const heldReason = async (redis: RedisStore, tier: string): Promise<string | null> =>
  (await readHeld(redis, tier, await readTier(redis, tier)))?.reason ?? null;

/** Whether documents are in a tier's queue, by BullMQ's own keys. */
async function hasJobs({ client, keys }: RedisStore, tier: string): Promise<boolean> {
  return (await client.exists(...keys.states(tier))) > 0;
}

/** The workers of a tier by their last heartbeats; those that fell silent are forgotten. */
export async function readTier(redis: RedisStore, tier: string): Promise<TierState> {
  const [known, nowMs] = await Promise.all([redis.client.hgetall(redis.keys.tier(tier)), redisNowMs(redis)]);
  const { '#seconds': seconds, ...workers } = known;
  const silent: string[] = [];
  const calls: number[] = [];
  const reasons: string[] = [];
  for (const [worker, text] of Object.entries(workers)) {
    const [, atSeconds = '0', concurrency = '1', reason = ''] = HEARTBEAT.exec(text) ?? [];
    if (nowMs - Number(atSeconds) * 1_000 > SILENT_MS) silent.push(worker);
    else {
      calls.push(Number(concurrency));
      if (reason !== '') reasons.push(reason);
    }
  }
  if (silent.length > 0) await redis.client.hdel(redis.keys.tier(tier), ...silent);
  const sum = calls.reduce((all, one) => all + one, 0);
  return {
    replicas: calls.length,
    concurrency: calls.length === 0 ? null : sum / calls.length,
    secondsPerDocument: seconds === undefined ? null : Number(seconds),
    paused: reasons.length === calls.length ? (reasons[0] ?? null) : null,
  };
}
