import { isCrowded, limitAfterAnswer, loweredLimit } from '@spillway/core';
import type { Slots } from './slots.ts';

/** So many answers say how long calls take lately. */
const LATELY = 8;

/** So long after calls timed out because of their number the next ones are not let come to that. */
const WARY_MS = 600_000;

/** How many calls at a time a worker makes to its model server, adapted to what the server takes (AIMD). */
export class ConcurrencyLimit {
  readonly #slots: Pick<Slots, 'concurrency'>;
  readonly #max: number;
  readonly #timeoutMs: number;
  #limit: number;
  /** On the clock that never goes back. */
  #loweredAtMs = 0;
  /** On the same clock. */
  #waryUntilMs = 0;
  #lately: readonly number[] = [];

  constructor(
    slots: Pick<Slots, 'concurrency'>,
    { max, timeoutMs }: { readonly max: number; readonly timeoutMs: number },
  ) {
    this.#slots = slots;
    this.#max = max;
    this.#timeoutMs = timeoutMs;
    this.#limit = max;
  }

  /** Calls at a time, as many as are configured or fewer. */
  get value(): number {
    return Math.floor(this.#limit);
  }

  /** What the slowest of the last answers took; null: there was none. */
  get slowestMs(): number | null {
    return this.#lately.length === 0 ? null : Math.max(...this.#lately);
  }

  /** The server answered: a step more, unless answers come too late. */
  answered(startedAtMs: number): void {
    const now = performance.now();
    this.#lately = [...this.#lately, now - startedAtMs].slice(-LATELY);
    const late = { slowestShare: this.#slowestShare, isWary: now < this.#waryUntilMs };
    const limit = limitAfterAnswer(this.#limit, this.#max, late);
    if (limit < this.#limit) this.lower(startedAtMs);
    else this.#allow(limit);
  }

  /** A call timed out. Whether that may have come of the others, as theirs are answered late, too. */
  timedOut(startedAtMs: number): boolean {
    const isOfOthers = this.value > 1 && isCrowded(this.#slowestShare);
    if (isOfOthers) this.#waryUntilMs = performance.now() + WARY_MS;
    this.lower(startedAtMs);
    return isOfOthers;
  }

  /** Half of it; calls that were under way together lower it once. False: it was one call at a time already. */
  lower(startedAtMs: number): boolean {
    if (startedAtMs < this.#loweredAtMs) return true;
    if (this.#limit === 1) return false;
    this.#loweredAtMs = performance.now();
    this.#allow(loweredLimit(this.#limit));
    return true;
  }

  get #slowestShare(): number {
    return (this.slowestMs ?? 0) / this.#timeoutMs;
  }

  #allow(limit: number): void {
    this.#limit = limit;
    if (this.#slots.concurrency !== this.value) this.#slots.concurrency = this.value;
  }
}
