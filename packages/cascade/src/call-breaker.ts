/** So many calls in a row about drafts may fail; then none is made for a while. */
const MAX_FAILURES = 5;

/** The first while, and the longest: each is twice the one before as long as nothing succeeds in between. */
const FIRST_PAUSE_MS = 60_000;
const MAX_PAUSE_MS = 3_600_000;

/**
 * A circuit breaker for calls that a model need not be asked, of one kind: it opens for a while where they fail one after
 * the other, and lets one through then. The tier's own breaker knows nothing of it, as documents are answered without.
 */
export class CallBreaker {
  readonly #onOpen: (why: string) => void;
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #untilMs = 0;

  /** `onOpen` hears, each time that it opens, why the last call failed. */
  constructor(onOpen: (why: string) => void) {
    this.#onOpen = onOpen;
  }

  /** Whether no such calls are made at present. After a while one may fail again before the next one. */
  isOpen(nowMs: number): boolean {
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
    if (this.#failures < MAX_FAILURES || this.isOpen(nowMs)) return;
    this.#failures = MAX_FAILURES - 1;
    this.#untilMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
    this.#onOpen(why);
  }
}
