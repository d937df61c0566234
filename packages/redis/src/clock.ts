/** A reading of Redis' clock: between when it was asked for and when the answer was there, on this process' own clock. */
type Reading = { readonly askedAtMs: number; readonly answeredAtMs: number; readonly redisMs: number };

/** A better reading of before is of no use any more: the two clocks drift, and after a failover it is another one. */
const MAX_AGE_MS = 60_000;

/**
 * Redis' clock, which all processes share, as seen from this one, whose own never goes back (`performance.now()`). What a
 * busy process sees is late, so a time is known to lie between an earliest and a latest one.
 */
export class RedisClock {
  #best: Reading | null = null;

  /** Takes a reading in; the one that took least time is the best one. */
  observe(reading: Reading): void {
    const best = this.#best;
    const isOld = best === null || reading.answeredAtMs - best.answeredAtMs > MAX_AGE_MS;
    const isJump = best !== null && reading.redisMs < this.#at(best.answeredAtMs, reading.askedAtMs);
    if (isOld || isJump || spanOf(reading) <= spanOf(best)) this.#best = reading;
  }

  /** The earliest that a moment of this process can have been, in Unix milliseconds. */
  earliest(ms: number): number {
    return Math.floor(this.#at(this.#best?.answeredAtMs ?? 0, ms));
  }

  /** The latest that it can have been. */
  latest(ms: number): number {
    return Math.ceil(this.#at(this.#best?.askedAtMs ?? 0, ms));
  }

  #at(readAtMs: number, ms: number): number {
    // Before the first reading this machine's own clock has to do.
    return this.#best === null ? performance.timeOrigin + ms : this.#best.redisMs + (ms - readAtMs);
  }
}

const spanOf = ({ askedAtMs, answeredAtMs }: Reading): number => answeredAtMs - askedAtMs;
