/** So many are remembered. */
const MAX_REMEMBERED = 64;

/** When a worker saw that there was no server, on the clock that never goes back. */
export class GoneTimes {
  #times: readonly number[] = [];

  /** There is no server just now. */
  note(): void {
    this.#times = [...this.#times, performance.now()].slice(-MAX_REMEMBERED);
  }

  /** Whether that was seen since then. */
  since(ms: number): boolean {
    return (this.#times.at(-1) ?? Number.NEGATIVE_INFINITY) >= ms;
  }

  /** When that was last seen before then; long ago: never. */
  before(ms: number): number {
    return this.#times.findLast((goneMs) => goneMs < ms) ?? Number.NEGATIVE_INFINITY;
  }
}
