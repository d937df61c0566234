import type { ModelFindings } from '@spillway/core';

/** So many calls in a row about drafts may fail; then none is made for a while. */
const MAX_FAILURES = 5;

/** The first while, and the longest: each is twice the one before as long as nothing succeeds in between. */
const FIRST_PAUSE_MS = 60_000;
const MAX_PAUSE_MS = 3_600_000;

/** The calls about drafts of one way to ask: what the model's server is seen to do, and whether any are made at present. */
export class DraftLane {
  readonly #onPause: (why: string) => void;
  #findings: ModelFindings | null = null;
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #untilMs = 0;

  /** `onPause` hears, each time that no such calls are made for a while, why the last one failed. */
  constructor(onPause: (why: string) => void) {
    this.#onPause = onPause;
  }

  get findings(): ModelFindings | null {
    return this.#findings;
  }

  know(findings: ModelFindings): void {
    this.#findings = findings;
  }

  /** Whether no such calls are made at present. After a while one may fail again before the next one. */
  isPaused(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** A call brought what can be used. */
  noteUsed(): void {
    this.#failures = 0;
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** A call failed by itself, or brought what cannot be used. */
  noteFailed(why: string, nowMs: number): void {
    this.#failures += 1;
    if (this.#failures < MAX_FAILURES || this.isPaused(nowMs)) return;
    this.#failures = MAX_FAILURES - 1;
    this.#untilMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
    this.#onPause(why);
  }
}
