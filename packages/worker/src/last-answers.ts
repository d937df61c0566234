import type { RedisClock, Taking } from '@spillway/redis';
import type { RunningCall } from './running-calls.ts';

/** An answer: to which call, and when, on the clock that never goes back and in Unix milliseconds. */
type LastAnswer = { readonly to: RunningCall | null; readonly atMs: number; readonly unixMs: number };

const NO_ANSWER: LastAnswer = { to: null, atMs: Number.NEGATIVE_INFINITY, unixMs: 0 };

/** The tier is told of answers no more often than this. */
const TELL_MS = 100;

/** When a worker's model server last answered, and whom. */
export class LastAnswers {
  readonly #clock: RedisClock;
  #last = NO_ANSWER;
  /** The last one to another call than that. */
  #before = NO_ANSWER;
  /** When the latest of the answered calls began. */
  #workedAtMs = Number.NEGATIVE_INFINITY;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: RedisClock) {
    this.#clock = clock;
  }

  get last(): LastAnswer {
    return this.#last;
  }

  /** A call that began then was answered; null: it was about no document. */
  note(to: RunningCall | null, begunMs: number): void {
    if (to === null || this.#last.to !== to) this.#before = this.#last;
    this.#last = { to, atMs: performance.now(), unixMs: Date.now() };
    this.#workedAtMs = Math.max(this.#workedAtMs, begunMs);
  }

  /** The last answer to another call. */
  toOthers(call: RunningCall): LastAnswer {
    return this.#last.to === call ? this.#before : this.#last;
  }

  /** What the tier is to be told of it now, by Redis' clock; null: it knows, or was told a moment ago. */
  toTell(): Taking['answered'] {
    const { atMs } = this.#last;
    if (atMs <= this.#toldAtMs || performance.now() - this.#toldAtMs < TELL_MS) return null;
    this.#toldAtMs = performance.now();
    return { atMs: this.#clock.earliest(atMs), begunAtMs: this.#clock.earliest(this.#workedAtMs) };
  }
}
