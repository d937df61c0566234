import type { Usage } from '@spillway/core';
import type { Span } from './asked.ts';

/** How much the next call counts beside all before it. */
const WEIGHT = 0.1;

/** An answer of fewer tokens says more of how long its request took to read. */
const MIN_TOKENS = 8;

/** How long a model takes for a token of its answers, by those that it has written: to estimate what was not written. */
export class WritingRate {
  #msPerToken: number | null = null;

  note({ startedAtMs, endedAtMs }: Span, { outputTokens }: Usage): void {
    if (outputTokens < MIN_TOKENS) return;
    const rate = Math.max(0, endedAtMs - startedAtMs) / outputTokens;
    this.#msPerToken = this.#msPerToken === null ? rate : this.#msPerToken + WEIGHT * (rate - this.#msPerToken);
  }

  /** Null: nothing was written yet. */
  msOf(tokens: number): number | null {
    return this.#msPerToken === null ? null : this.#msPerToken * tokens;
  }
}
