import { pause } from '@spillway/runtime';

/** Calls that were broken off within so long of each other broke together: their server went down, or one of several. */
const TOGETHER_MS = 100;

/** The calls of a worker that were broken off lately. */
export class BrokenCalls {
  /** When, on the clock that never goes back. */
  #lately: readonly number[] = [];

  /** A call was broken off just now: whether another one is at about the same time. */
  async isShared(signal: AbortSignal): Promise<boolean> {
    const now = performance.now();
    this.#lately = [...this.#lately.filter((ms) => now - ms <= TOGETHER_MS), now];
    if (this.#lately.length > 1) return true;
    await pause(TOGETHER_MS, signal);
    return this.#lately.length > 1;
  }
}
