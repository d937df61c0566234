import { pause } from '@spillway/runtime';

/** Calls that were broken off within so long of each other broke together: their server went down, or one of several. */
const TOGETHER_MS = 100;

/** So many of the times when there was no server are remembered. */
const MAX_REMEMBERED = 64;

/** The calls of a worker that were broken off lately, and when else it was seen that there was no server. */
export class BrokenCalls {
  /** When, on the clock that never goes back. */
  #lately: readonly number[] = [];
  #gone: readonly number[] = [];

  /** There is no server just now. */
  noteGone(): void {
    this.#gone = [...this.#gone, performance.now()].slice(-MAX_REMEMBERED);
  }

  /** When the server was last seen to be gone before that; long ago: never. */
  goneBefore(ms: number): number {
    return this.#gone.findLast((goneMs) => goneMs < ms) ?? Number.NEGATIVE_INFINITY;
  }

  /** A call was broken off just now: whether another one is at about the same time. */
  async isShared(signal: AbortSignal): Promise<boolean> {
    const now = performance.now();
    this.noteGone();
    this.#lately = [...this.#lately.filter((ms) => now - ms <= TOGETHER_MS), now];
    if (this.#lately.length > 1) return true;
    await pause(TOGETHER_MS, signal);
    return this.#lately.length > 1;
  }
}
