import { liveBatches, readBatch, type BatchState, type RedisStore } from '@spillway/redis';

/** A batch in work as Redis has it. */
export type LiveBatch = BatchState & { readonly id: string };

/** The loops share a reading this old instead of each asking Redis for every batch. */
const MAX_AGE_MS = 100;

/** All batches in work, oldest first, as of a moment ago. */
export class LiveBatches {
  readonly #redis: RedisStore;
  #reading: Promise<readonly LiveBatch[]> | null = null;
  #readAtMs = 0;

  constructor(redis: RedisStore) {
    this.#redis = redis;
  }

  read(): Promise<readonly LiveBatch[]> {
    const now = performance.now();
    if (this.#reading === null || now - this.#readAtMs > MAX_AGE_MS) {
      this.#readAtMs = now;
      const reading = readAll(this.#redis);
      this.#reading = reading;
      // A reading that failed is not kept; its error reaches whoever waits for it.
      reading.catch(() => {
        if (this.#reading === reading) this.#reading = null;
      });
    }
    return this.#reading;
  }

  /** Something was changed by this process: the next reading asks Redis. */
  invalidate(): void {
    this.#reading = null;
  }
}

async function readAll(redis: RedisStore): Promise<LiveBatch[]> {
  const ids = await liveBatches(redis);
  const states = await Promise.all(ids.map(async (id) => ({ id, state: await readBatch(redis, id) })));
  return states
    .flatMap(({ id, state }) => (state === null ? [] : [{ id, ...state }]))
    .toSorted((left, right) => left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1));
}
