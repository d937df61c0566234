import { delaysOf, isAskedAlone, type Delay, type DocumentJob } from '@spillway/core';
import { readHolds, type RedisStore, type Started } from '@spillway/redis';
import type { HeldDocument } from './held-document.ts';

/** When the last call for a document ended in its present wait; never, if there was none. */
const lastCallOf = ({ unproven, delays = [] }: DocumentJob): number =>
  Math.max(unproven?.endedAtMs ?? 0, delays.findLast(({ call }) => call !== undefined)?.toMs ?? 0) || Infinity;

/** Finds out what a document waited for when it is taken up. */
export class WaitWatch {
  readonly #redis: RedisStore;
  readonly #tier: string;
  /** Names this process. */
  readonly #by: string;
  /** When the tier's breaker was open, as of when it closed at `#closedAtMs`. */
  #holds: readonly Delay[] = [];
  #closedAtMs = 0;

  constructor(redis: RedisStore, tier: string, by: string) {
    this.#redis = redis;
    this.#tier = tier;
    this.#by = by;
  }

  /** A document as this process has taken it up: with what its wait was, and by whom it was taken up. */
  async takenUp({ data, options: { started, takes } }: HeldDocument): Promise<DocumentJob> {
    const delays = delaysOf({
      sinceMs: data.waitingSinceMs,
      delays: data.delays ?? [],
      nowMs: Date.now(),
      holds: await this.#holdsAt(started),
      lostSinceMs: started.lostSinceMs,
      otherwise: isAskedAlone(data) ? { reason: 'breaker', sinceMs: lastCallOf(data) } : null,
    });
    const take = { number: takes, by: this.#by };
    return { ...data, delays: delays.length === 0 ? undefined : delays, take };
  }

  /** They are read again when the breaker closed once more, and by whoever probes while it is open. */
  async #holdsAt({ state, closedAtMs }: Started): Promise<readonly Delay[]> {
    if (state === 'PROBE') return await readHolds(this.#redis, this.#tier);
    if (closedAtMs !== this.#closedAtMs) {
      this.#holds = await readHolds(this.#redis, this.#tier);
      this.#closedAtMs = closedAtMs;
    }
    return this.#holds;
  }
}
