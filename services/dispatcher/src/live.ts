import { liveBatches, readBatch, type BatchState } from '@spillway/redis';
import type { Desk } from './desk.ts';

/** A batch in work as Redis has it. */
export type LiveBatch = BatchState & { readonly id: string };

/** How old a reading may be: the loops share one instead of each asking Redis for every batch. */
const FRESH_MS = 100;

/** All batches in work, oldest first, as of a moment ago. */
export class LiveBatches {
  readonly #desk: Desk;
  #reading: Promise<readonly LiveBatch[]> | null = null;
  #readAtMs = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  read(): Promise<readonly LiveBatch[]> {
    const now = performance.now();
    if (this.#reading === null || now - this.#readAtMs > FRESH_MS) {
      this.#readAtMs = now;
      this.#reading = readAll(this.#desk);
      // A reading that failed is not kept; its error reaches whoever waits for it.
      this.#reading.catch(() => {
        this.#reading = null;
      });
    }
    return this.#reading;
  }

  /** The next reading asks Redis: something was changed here. */
  stale(): void {
    this.#reading = null;
  }
}

async function readAll(desk: Desk): Promise<LiveBatch[]> {
  const ids = await liveBatches(desk.board);
  const states = await Promise.all(ids.map(async (id) => ({ id, state: await readBatch(desk.board, id) })));
  return states
    .flatMap(({ id, state }) => (state === null ? [] : [{ id, ...state }]))
    .toSorted((left, right) => left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1));
}
