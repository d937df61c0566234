import type { CascadeRules } from '@spillway/core';
import { readRules, type BatchRules, type RedisStore } from '@spillway/redis';

/**
 * Batches whose rules a worker keeps; a batch's rules never change, but for an audit that alarms: then they have another
 * version, which is told with each job that is taken up. Small batches take turns document by document, so that
 * with fewer than there are in flight nearly each document would have its rules read again. Most are the same: a batch
 * takes its id, and those rules once that others have too.
 */
const MAX_BATCHES = 65_536;
/** Rules that are known by their text: a configuration changes now and then. */
const MAX_TEXTS = 256;

/** The rules of the batches whose documents a worker meets, read from Redis once each. */
export class RulesCache {
  readonly #redis: RedisStore;
  readonly #known = new Map<string, Promise<BatchRules | null>>();
  readonly #texts = new Map<string, BatchRules>();

  constructor(redis: RedisStore) {
    this.#redis = redis;
  }

  /** The rules of a document's cascade; null: Redis does not have them. */
  async of(
    { batch, cascade }: { readonly batch: string; readonly cascade: string },
    version: string,
  ): Promise<CascadeRules | null> {
    const rules = await this.#rulesOf(batch, version);
    return rules?.[cascade] ?? null;
  }

  /** Begins to read the rules of a batch whose documents will be met soon: what goes wrong, whoever asks for them meets. */
  readAhead(batch: string): void {
    void this.#rulesOf(batch, '').catch(() => undefined);
  }

  async #rulesOf(batch: string, version: string): Promise<BatchRules | null> {
    const name = version === '' ? batch : `${batch} ${version}`;
    const known = this.#known.get(name);
    if (known !== undefined) return await known;
    const reading = readRules(this.#redis, batch, this.#texts);
    this.#known.set(name, reading);
    dropOldest(this.#known, MAX_BATCHES);
    dropOldest(this.#texts, MAX_TEXTS);
    try {
      const rules = await reading;
      if (rules === null) this.#known.delete(name);
      return rules;
    } catch (error) {
      this.#known.delete(name);
      throw error;
    }
  }
}

function dropOldest(known: Map<string, unknown>, most: number): void {
  for (const oldest of known.keys()) {
    if (known.size <= most) return;
    known.delete(oldest);
  }
}
