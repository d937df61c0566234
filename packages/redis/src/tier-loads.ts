import type { BundleLoad } from '@spillway/core';
import type { Queues } from './queues.ts';
import type { RedisStore } from './store.ts';
import { readTier } from './tier.ts';

/** What a tier has to do changes no faster than its workers tell of themselves; a queue may. */
const KNOWN_MS = 1_000;

type Known = Omit<BundleLoad, 'bytesPerDocument'> & { readonly untilMs: number };

/** How much tiers have to do and who is there to do it, read now and then: what the size of bundles depends on. */
export class TierLoads {
  readonly #redis: RedisStore;
  readonly #queues: Pick<Queues, 'depth'>;
  readonly #known = new Map<string, Promise<Known>>();

  constructor(redis: RedisStore, queues: Pick<Queues, 'depth'>) {
    this.#redis = redis;
    this.#queues = queues;
  }

  /** The load of a tier to which so many documents are about to be added, of so many bytes together. */
  async of(tier: string, adding: { readonly documents: number; readonly bytes: number }): Promise<BundleLoad> {
    const { documents, bytes } = adding;
    const { waiting, ...load } = await this.#read(tier);
    return { ...load, waiting: waiting + documents, bytesPerDocument: bytes / Math.max(1, documents) };
  }

  async #read(tier: string): Promise<Known> {
    const known = this.#known.get(tier);
    if (known !== undefined && (await known).untilMs > performance.now()) return await known;
    const reading = this.#measure(tier);
    this.#known.set(tier, reading);
    reading.catch(() => this.#known.delete(tier));
    return await reading;
  }

  async #measure(tier: string): Promise<Known> {
    const [{ waiting }, state] = await Promise.all([this.#queues.depth(tier), readTier(this.#redis, tier)]);
    const { replicas, concurrency, secondsPerDocument } = state;
    const slotsPerWorker = concurrency ?? 0;
    const untilMs = performance.now() + KNOWN_MS;
    return { waiting, slotsPerWorker, slots: slotsPerWorker * replicas, secondsPerDocument, untilMs };
  }
}
