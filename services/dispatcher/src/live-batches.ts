import { readSummaries, scanBatches, type BatchSummary, type RedisStore } from '@spillway/redis';

/** A batch in work, as Redis had it when it was last said to have changed. */
export type LiveBatch = BatchSummary & { readonly id: string };

/** Learns how a batch is now; null: it is in work no more. It is told of each batch at least as often as that changes. */
export type Watcher = { note(id: string, batch: LiveBatch | null): void };

/** Batches that are read in one go. */
const READ_AT_A_TIME = 500;

/**
 * All batches in work, and what each is at. Only those are read again that were said to have changed, so that a pass over
 * the work costs what there is to do, not what there is. What is said may be missed: a sweep reads the others too, a
 * part at a time. Whoever acts by what stands here meets Redis' own compare-and-set, so that an old reading does no harm.
 */
export class LiveBatches {
  readonly #redis: RedisStore;
  readonly #all = new Map<string, LiveBatch>();
  /** Those to be read again. */
  #changed = new Set<string>();
  /** Nothing is known, or messages were missed: all are to be read. */
  #isBlind = true;
  #watchers: readonly Watcher[] = [];
  #reading: Promise<void> | null = null;
  /** How far the sweep has come in Redis, and among the batches that are known here. */
  #cursor = '0';
  #known: string[] = [];

  constructor(redis: RedisStore) {
    this.#redis = redis;
  }

  /** Begins anew, as whoever comes to lead does. */
  begin(watchers: readonly Watcher[]): void {
    this.#all.clear();
    this.#watchers = watchers;
    this.noteGap();
  }

  /** A batch was said to have changed. */
  noteChange(id: string): void {
    this.#changed.add(id);
  }

  /** Anything may have changed. */
  noteGap(): void {
    this.#isBlind = true;
  }

  get(id: string): LiveBatch | undefined {
    return this.#all.get(id);
  }

  all(): MapIterator<LiveBatch> {
    return this.#all.values();
  }

  /** Reads what has changed until now. */
  async refresh(): Promise<void> {
    // A reading that goes on began before, and may have missed it.
    if (this.#reading !== null) await this.#reading;
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    await this.#reading;
  }

  /** Reads some `most` batches again, whatever was said of them: in time all of them. Answers which. */
  async readSome(most: number): Promise<readonly LiveBatch[]> {
    const some = new Set<string>();
    do {
      const { cursor, ids } = await scanBatches(this.#redis, this.#cursor);
      this.#cursor = cursor;
      for (const id of ids) some.add(id);
    } while (this.#cursor !== '0' && some.size < most);
    // What Redis has forgotten is only found among what is known here.
    if (this.#known.length === 0) this.#known = [...this.#all.keys()];
    for (const id of this.#known.splice(-most)) some.add(id);
    for (const id of some) this.noteChange(id);
    await this.refresh();
    return [...some].flatMap((id) => this.#all.get(id) ?? []);
  }

  async #read(): Promise<void> {
    if (this.#isBlind) await this.#noteAll();
    if (this.#changed.size === 0) return;
    const ids = [...this.#changed];
    this.#changed = new Set();
    try {
      const summaries: (BatchSummary | null)[] = [];
      for (let from = 0; from < ids.length; from += READ_AT_A_TIME) {
        summaries.push(...(await readSummaries(this.#redis, ids.slice(from, from + READ_AT_A_TIME))));
      }
      this.#keep(ids, summaries);
    } catch (error) {
      for (const id of ids) this.#changed.add(id);
      throw error;
    }
  }

  async #noteAll(): Promise<void> {
    this.#isBlind = false;
    try {
      for (const id of this.#all.keys()) this.#changed.add(id);
      let cursor = '0';
      do {
        const found = await scanBatches(this.#redis, cursor);
        cursor = found.cursor;
        for (const id of found.ids) this.#changed.add(id);
      } while (cursor !== '0');
    } catch (error) {
      this.#isBlind = true;
      throw error;
    }
  }

  /** Oldest first, so that of what is found at once the oldest comes first in every queue. */
  #keep(ids: readonly string[], summaries: readonly (BatchSummary | null)[]): void {
    const found: LiveBatch[] = [];
    for (const [at, id] of ids.entries()) {
      const summary = summaries[at] ?? null;
      if (summary !== null) found.push({ id, ...summary });
      else if (this.#all.delete(id)) for (const watcher of this.#watchers) watcher.note(id, null);
    }
    found.sort((left, right) => left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1));
    for (const batch of found) {
      this.#all.set(batch.id, batch);
      for (const watcher of this.#watchers) watcher.note(batch.id, batch);
    }
  }
}
