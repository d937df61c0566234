import { fewerSlots, gateWaitsMs, moreSlots, type GateCall } from '@spillway/core';
import type { Worker } from 'bullmq';

type Rest = {
  /** Why, where the worker rests for a model server of its own; null: it waits for its tier's gate. */
  readonly ownServer: string | null;
  readonly over: NodeJS.Timeout;
};

/** What a worker allows itself: how many calls at a time, and whether it takes jobs now. */
export class Pace {
  readonly #worker: Worker;
  readonly #most: number;
  #slots: number;
  /** When the slots were last lowered and the last rest was over, on the clock that never goes back. */
  #loweredAtMs = 0;
  #restedAtMs = 0;
  #rest: Rest | null = null;
  /** Rests in a row for the server of its own. */
  #rests = 0;
  #ended = false;

  constructor(worker: Worker, most: number) {
    this.#worker = worker;
    this.#most = most;
    this.#slots = most;
  }

  /** Calls at a time, as many as are configured or fewer. */
  get slots(): number {
    return Math.floor(this.#slots);
  }

  get isResting(): boolean {
    return this.#rest !== null;
  }

  /** Why this worker rests though its tier's gate is open: its own model server is down. Else null. */
  get ownServer(): string | null {
    return this.#rest?.ownServer ?? null;
  }

  /** A document is done. */
  answered(): void {
    this.#rests = 0;
    this.#allow(moreSlots(this.#slots, this.#most));
  }

  /** The server takes no more than it has; calls that were under way together say so once. */
  overloaded(startedAtMs: number): void {
    if (startedAtMs < this.#loweredAtMs) return;
    this.#loweredAtMs = performance.now();
    this.#allow(fewerSlots(this.#slots));
  }

  /** Takes no jobs for a while, as the tier's gate is closed. */
  async rest(ms: number): Promise<void> {
    if (this.#rest === null) await this.#begin(ms, null);
  }

  /**
   * Takes no jobs for a while, as its own model server is down: the tier's other workers have others and go on. A call
   * that began before the last rest was over tells of the server as it was.
   */
  async restForServer({ toldMs, reason }: GateCall, startedAtMs: number): Promise<void> {
    if (this.#rest !== null || startedAtMs < this.#restedAtMs) return;
    this.#rests += 1;
    const waits = gateWaitsMs(Math.random());
    await this.#begin(toldMs ?? waits[this.#rests - 1] ?? waits.at(-1) ?? 0, reason);
  }

  /** Takes jobs again, if it rests. */
  wake(): void {
    if (this.#rest === null) return;
    clearTimeout(this.#rest.over);
    this.#rest = null;
    this.#restedAtMs = performance.now();
    // Where its loop ended meanwhile it begins another, whose breaking ends the process like that of the first.
    if (!this.#ended) void this.#worker.resume();
  }

  /** Takes no jobs any more. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#rest?.over);
  }

  async #begin(ms: number, ownServer: string | null): Promise<void> {
    this.#rest = { ownServer, over: setTimeout(() => this.wake(), ms) };
    await this.#worker.pause(true);
  }

  #allow(slots: number): void {
    this.#slots = slots;
    if (this.#worker.concurrency !== this.slots) this.#worker.concurrency = this.slots;
  }
}
