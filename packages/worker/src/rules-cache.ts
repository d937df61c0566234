import type { CascadeRules } from '@spillway/core';
import { readRules, type BatchRules, type RedisStore } from '@spillway/redis';

/** Batches whose rules a worker keeps; a batch's rules never change. */
const MAX_BATCHES = 256;

/** The rules of the batches whose documents a worker meets, read from Redis once each. */
export class RulesCache {
  readonly #redis: RedisStore;
  readonly #known = new Map<string, Promise<BatchRules | null>>();

  constructor(redis: RedisStore) {
    this.#redis = redis;
  }

  /** The rules of a document's cascade; null: Redis does not have them. */
  async of({ batch, cascade }: { readonly batch: string; readonly cascade: string }): Promise<CascadeRules | null> {
    const rules = await this.#rulesOf(batch);
    return rules?.[cascade] ?? null;
  }

  async #rulesOf(batch: string): Promise<BatchRules | null> {
    const known = this.#known.get(batch);
    if (known !== undefined) return await known;
    const reading = readRules(this.#redis, batch);
    this.#known.set(batch, reading);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_BATCHES) break;
      this.#known.delete(oldest);
    }
    try {
      const rules = await reading;
      if (rules === null) this.#known.delete(batch);
      return rules;
    } catch (error) {
      this.#known.delete(batch);
      throw error;
    }
  }
}
