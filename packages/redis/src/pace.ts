import { fewerSlots, gateBackoffMs, moreSlots } from '@spillway/core';
import type { Worker } from 'bullmq';

/** Why a worker takes no jobs: its tier's gate is closed, or its server is down for it alone, or takes nothing from it. */
type Why = 'gate' | 'down' | 'full';

type Rest = { readonly why: Why; readonly reason: string; readonly over: NodeJS.Timeout };

/** Behind a closed gate a worker looks again no later than this, and while somebody tries the server sooner. */
const LOOK_AGAIN_MS = 5_000;
const LOOK_SOON_MS = [250, 500, 1_000, 2_000] as const;

/** What a worker allows itself: how many calls at a time, and whether it takes jobs now. */
export class Pace {
  readonly #worker: Worker;
  readonly #most: number;
  #slots: number;
  /** On the clock that never goes back: when the slots were last lowered, and the last rest was over. */
  #loweredAtMs = 0;
  #restedAtMs = 0;
  #rest: Rest | null = null;
  /** Rests of its own in a row, and looks in a row at a gate that somebody tries. */
  #rests = 0;
  #looks = 0;
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

  /** Whether it rests because its tier's gate is closed. */
  get isAtGate(): boolean {
    return this.#rest?.why === 'gate';
  }

  /** Why this worker rests though its tier's gate is open; null: it does not. */
  get resting(): string | null {
    return this.#rest === null || this.#rest.why === 'gate' ? null : this.#rest.reason;
  }

  /** Why it can do nothing at all: the model server beside it is down. Else null. */
  get down(): string | null {
    return this.#rest?.why === 'down' ? this.#rest.reason : null;
  }

  /** Its server answered. */
  answered(): void {
    this.#rests = 0;
    this.#looks = 0;
    this.#allow(moreSlots(this.#slots, this.#most));
  }

  /** Asks fewer at a time; calls that were under way together say so once. False: it asked for one at a time already. */
  lower(startedAtMs: number): boolean {
    if (startedAtMs < this.#loweredAtMs) return true;
    if (this.#slots === 1) return false;
    this.#loweredAtMs = performance.now();
    this.#allow(fewerSlots(this.#slots));
    return true;
  }

  /** Takes no jobs for a while, as the gate is closed for `waitMs`; 0: until the call that tries was answered. */
  async restAtGate(waitMs: number): Promise<void> {
    if (this.#rest !== null) return;
    this.#looks = waitMs === 0 ? Math.min(this.#looks + 1, LOOK_SOON_MS.length) : 0;
    await this.#begin('gate', '', LOOK_SOON_MS[this.#looks - 1] ?? Math.min(waitMs, LOOK_AGAIN_MS));
  }

  /**
   * Takes no jobs for a while, longer each time, while the tier's other workers go on. A call that began before the last
   * rest was over tells of the server as it was. Whether a rest began.
   */
  async restAlone(why: 'down' | 'full', reason: string, toldMs: number | null, startedAtMs: number): Promise<boolean> {
    if (this.#rest !== null || startedAtMs < this.#restedAtMs) return false;
    this.#rests += 1;
    await this.#begin(why, reason, toldMs ?? gateBackoffMs(this.#rests, Math.random()));
    return true;
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

  async #begin(why: Why, reason: string, ms: number): Promise<void> {
    this.#rest = { why, reason, over: setTimeout(() => this.wake(), ms) };
    await this.#worker.pause(true);
  }

  #allow(slots: number): void {
    this.#slots = slots;
    if (this.#worker.concurrency !== this.slots) this.#worker.concurrency = this.slots;
  }
}
