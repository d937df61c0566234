import type { BundleLoad } from '@spillway/core';
import type { Queues } from './queues.ts';
import type { RedisStore } from './store.ts';
import { readTier } from './tier.ts';

/** What a tier has to do changes no faster than its workers tell of themselves; a queue may. */
const KNOWN_MS = 1_000;

/** What the size of bundles depends on of those who work in a tier. */
type TierWorkers = Pick<BundleLoad, 'slotsPerWorker' | 'slots' | 'secondsPerDocument'>;

/** Documents that are about to be added to a tier, and their bytes together. */
type Adding = {
  readonly documents: number;
  readonly bytes: number;
  /** Documents of their batch that will be added after them, as soon as there is room. */
  readonly behind: number;
};

/** How much tiers have to do and who is there to do it, read now and then: what the size of bundles depends on. */
export class TierLoads {
  readonly #workers: Lately<TierWorkers>;
  /** To count them takes Redis milliseconds. */
  readonly #waiting: Lately<number>;

  constructor(redis: RedisStore, queues: Pick<Queues, 'depth'>) {
    this.#waiting = new Lately(async (tier) => (await queues.depth(tier)).waiting);
    this.#workers = new Lately(async (tier) => {
      const { replicas, concurrency, secondsPerDocument } = await readTier(redis, tier);
      const slotsPerWorker = concurrency ?? 0;
      return { slotsPerWorker, slots: slotsPerWorker * replicas, secondsPerDocument };
    });
  }

  /** Who works in a tier. */
  async workers(tier: string): Promise<TierWorkers> {
    return await this.#workers.of(tier);
  }

  /** The load of a tier to which documents are about to be added. */
  async of(tier: string, { documents, bytes, behind }: Adding): Promise<BundleLoad> {
    const [workers, waiting] = await Promise.all([this.workers(tier), this.#waiting.of(tier)]);
    return { ...workers, waiting: waiting + documents + behind, bytesPerDocument: bytes / Math.max(1, documents) };
  }
}

/** What was read lately of each tier: anew after a while, once for all who ask meanwhile. */
class Lately<Value> {
  readonly #read: (tier: string) => Promise<Value>;
  readonly #known = new Map<string, { readonly value: Promise<Value>; readonly untilMs: number }>();

  constructor(read: (tier: string) => Promise<Value>) {
    this.#read = read;
  }

  async of(tier: string): Promise<Value> {
    const now = performance.now();
    const known = this.#known.get(tier);
    if (known !== undefined && known.untilMs > now) return await known.value;
    const value = this.#read(tier);
    const reading = { value, untilMs: now + KNOWN_MS };
    this.#known.set(tier, reading);
    return await value.catch((error: unknown) => {
      if (this.#known.get(tier) === reading) this.#known.delete(tier);
      throw error;
    });
  }
}
