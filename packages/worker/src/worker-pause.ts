import { holdBackoffMs } from '@spillway/core';
import type { QueueWorker } from './queue-worker.ts';

/** Why a worker takes no jobs: its tier's breaker is open, or its server is down for it only, or takes nothing from it. */
type Why = 'breaker' | 'down' | 'full';

type Pause = { readonly why: Why; readonly reason: string; readonly timer: NodeJS.Timeout };

/** While its tier's breaker is open a worker looks again no later than this, and while somebody probes sooner. */
const LOOK_AGAIN_MS = 5_000;
const LOOK_SOON_MS = [250, 500, 1_000, 2_000] as const;

/** Whether a worker takes jobs now. */
export class WorkerPause {
  readonly #worker: QueueWorker;
  #pause: Pause | null = null;
  /** On the clock that never goes back: when the last pause was over. */
  #overAtMs = 0;
  /** Pauses of its own in a row, and looks in a row at a breaker that somebody probes. */
  #pauses = 0;
  #looks = 0;
  #ended = false;

  constructor(worker: QueueWorker) {
    this.#worker = worker;
  }

  get isPaused(): boolean {
    return this.#pause !== null;
  }

  /** Whether it pauses because its tier's breaker is open. */
  get isAtBreaker(): boolean {
    return this.#pause?.why === 'breaker';
  }

  /** Why this worker pauses though its tier's breaker is closed; null: it does not. */
  get ownReason(): string | null {
    return this.#pause === null || this.#pause.why === 'breaker' ? null : this.#pause.reason;
  }

  /** Why it can do nothing at all: the model server beside it is down. Else null. */
  get downReason(): string | null {
    return this.#pause?.why === 'down' ? this.#pause.reason : null;
  }

  /** Its server answered: the next pause is a first one again. */
  answered(): void {
    this.#pauses = 0;
    this.#looks = 0;
  }

  /** Takes no jobs for a while, as the breaker is open for `waitMs`; 0: until the call that probes was answered. */
  waitForBreaker(waitMs: number): void {
    if (this.#pause !== null) return;
    this.#looks = waitMs === 0 ? Math.min(this.#looks + 1, LOOK_SOON_MS.length) : 0;
    this.#begin('breaker', '', LOOK_SOON_MS[this.#looks - 1] ?? Math.min(waitMs, LOOK_AGAIN_MS));
  }

  /**
   * Takes no jobs for a while, longer each time, while the tier's other workers go on. A call that began before the last
   * pause was over tells of the server as it was. For how long it pauses; 0: no pause began.
   */
  begin(
    why: 'down' | 'full',
    { reason, retryAfterMs }: { readonly reason: string; readonly retryAfterMs: number | null },
    startedAtMs: number,
  ): number {
    if (this.#pause !== null || startedAtMs < this.#overAtMs) return 0;
    this.#pauses += 1;
    const ms = Math.max(1, retryAfterMs ?? holdBackoffMs(this.#pauses, Math.random()));
    this.#begin(why, reason, ms);
    return ms;
  }

  /** Takes jobs again, if it pauses. */
  end(): void {
    if (this.#pause === null) return;
    clearTimeout(this.#pause.timer);
    this.#pause = null;
    this.#overAtMs = performance.now();
    if (!this.#ended) this.#worker.resume();
  }

  /** Takes no jobs any more. */
  stop(): void {
    this.#ended = true;
    clearTimeout(this.#pause?.timer);
  }

  #begin(why: Why, reason: string, ms: number): void {
    this.#pause = { why, reason, timer: setTimeout(() => this.end(), ms) };
    this.#worker.pause();
  }
}
