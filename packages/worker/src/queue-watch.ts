import { repeat } from '@spillway/runtime';

/** How often it is looked whether documents wait. */
export const TICK_MS = 1_000;

/**
 * A worker that could take documents up and takes none for so long, though some wait, never will: BullMQ looks for them
 * at least every 10 seconds, also where it lost what should have woken it.
 */
export const STUCK_MS = 15_000;

export type QueueWatchOptions = {
  /** Whether it takes documents, as far as it knows: it has calls to spare and does not pause. */
  readonly isFree: () => boolean;
  /** How many it has taken up. */
  readonly taken: () => number;
  /** Whether documents wait that it could take up. */
  readonly hasWork: () => Promise<boolean>;
  /** It is stuck, so many times in a row. */
  readonly onStuck: (times: number) => void;
  readonly onError: (error: unknown) => void;
};

/** Whether a worker is stuck, by what is seen of it at each look. */
export class StuckCount {
  #taken = 0;
  #lookedAtMs: number | null = null;
  #stuckMs = 0;
  #times = 0;

  /**
   * One look. For how many times in a row it is stuck, when it has been so for long enough once more; else null. A process
   * that was frozen between two looks could take nothing up meanwhile.
   */
  look(seen: { readonly taken: number; readonly isIdle: boolean; readonly nowMs: number }): number | null {
    const sinceMs = seen.nowMs - (this.#lookedAtMs ?? seen.nowMs);
    this.#lookedAtMs = seen.nowMs;
    if (seen.taken !== this.#taken) this.#times = 0;
    this.#stuckMs = seen.taken === this.#taken && seen.isIdle ? this.#stuckMs + Math.min(sinceMs, 2 * TICK_MS) : 0;
    this.#taken = seen.taken;
    if (this.#stuckMs < STUCK_MS) return null;
    this.#stuckMs = 0;
    this.#times += 1;
    return this.#times;
  }
}

/**
 * Looks whether a worker's queue moves: whatever may hang between a worker and Redis, a queue in which documents wait and
 * of which a free worker takes none shows it. While Redis does not answer nobody knows whether some wait.
 */
export async function watchQueue(options: QueueWatchOptions, signal: AbortSignal): Promise<void> {
  const { isFree, taken, hasWork, onStuck, onError } = options;
  const count = new StuckCount();
  const look = async (): Promise<boolean> => {
    const isIdle = isFree() && (await hasWork().catch((error: unknown) => (onError(error), false))) && isFree();
    const times = signal.aborted ? null : count.look({ taken: taken(), isIdle, nowMs: performance.now() });
    if (times !== null) onStuck(times);
    return false;
  };
  await repeat(look, { idleMs: TICK_MS, signal, onError });
}
