import { loweredLimit, raisedLimit } from '@spillway/core';
import type { Worker } from 'bullmq';

/** How many calls at a time a worker makes to its model server, adapted to what the server takes (AIMD). */
export class ConcurrencyLimit {
  readonly #worker: Worker;
  readonly #max: number;
  #limit: number;
  /** On the clock that never goes back. */
  #loweredAtMs = 0;

  constructor(worker: Worker, max: number) {
    this.#worker = worker;
    this.#max = max;
    this.#limit = max;
  }

  /** Calls at a time, as many as are configured or fewer. */
  get value(): number {
    return Math.floor(this.#limit);
  }

  /** The server answered: a step more. */
  raise(): void {
    this.#allow(raisedLimit(this.#limit, this.#max));
  }

  /** Half of it; calls that were under way together lower it once. False: it was one call at a time already. */
  lower(startedAtMs: number): boolean {
    if (startedAtMs < this.#loweredAtMs) return true;
    if (this.#limit === 1) return false;
    this.#loweredAtMs = performance.now();
    this.#allow(loweredLimit(this.#limit));
    return true;
  }

  #allow(limit: number): void {
    this.#limit = limit;
    if (this.#worker.concurrency !== this.value) this.#worker.concurrency = this.value;
  }
}
