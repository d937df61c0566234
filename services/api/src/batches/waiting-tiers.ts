import type { WaitingTier } from '@spillway/core';
import { readWaiting } from '@spillway/redis';
import { within } from '@spillway/runtime';
import type { Records } from '@spillway/storage';
import type { LoggedRedis } from './live.ts';

/** A batch is shown without what it waits for, rather than late. */
const MAX_READ_MS = 1_000;

/** The tiers in which nobody works now, each looked at once however many batches of a list pass it. */
export class WaitingTiers {
  readonly #sources: LoggedRedis & { readonly records: Records };
  readonly #known = new Map<string, Promise<WaitingTier | null>>();

  constructor(sources: LoggedRedis & { readonly records: Records }) {
    this.#sources = sources;
  }

  /** Those that the documents of a batch can pass. */
  async of(batch: string): Promise<WaitingTier[]> {
    const { records, log } = this.#sources;
    try {
      const tiers = (await records.plan(batch))?.tiers ?? [];
      const waiting = await within(MAX_READ_MS, Promise.all(tiers.map((tier) => this.#read(tier))));
      return waiting.filter((one) => one !== null);
    } catch (error) {
      log.debug({ err: error, batch }, 'a batch is shown without what it waits for');
      return [];
    }
  }

  #read(tier: string): Promise<WaitingTier | null> {
    let reading = this.#known.get(tier);
    if (reading === undefined) {
      reading = readWaiting(this.#sources.redis, tier);
      this.#known.set(tier, reading);
    }
    return reading;
  }
}
