import {
  auditNanoUsd,
  drawnDocuments,
  isOverCap,
  MAX_USD_KEY,
  sampleIdOf,
  type Manifest,
  type Waiting,
} from '@spillway/core';
import {
  readBatch,
  readShortage,
  readWaiting,
  type BatchState,
  type Shortage,
  type WaitingTier,
} from '@spillway/redis';
import { within } from '@spillway/runtime';
import type { BatchPlan, Records } from '@spillway/storage';
import type { LoggedRedis } from './live.ts';

/** A batch is shown without what it waits for, rather than late. */
const MAX_READ_MS = 1_000;

/** What batches wait for. Of a list each tier is looked at once, however many batches pass it. */
export class Obstacles {
  readonly #sources: LoggedRedis & { readonly records: Records };
  readonly #tiers = new Map<string, Promise<WaitingTier | null>>();
  #shortage: Promise<Shortage> | null = null;

  constructor(sources: LoggedRedis & { readonly records: Records }) {
    this.#sources = sources;
  }

  /** Whatever a batch in work waits for. */
  async of({ id, metadata }: Manifest, state: BatchState): Promise<Waiting[]> {
    const { phase, outcome, counts, audits, closedAtMs } = state;
    if (phase === 'closed' && outcome === 'expired' && isOverCap(metadata, counts, auditNanoUsd(audits))) {
      const reason = `the batch has cost what '${MAX_USD_KEY}' allows`;
      return [{ tier: null, state: 'max_usd_reached', reason, sinceMs: closedAtMs }];
    }
    if (state.paused && phase !== 'closed') {
      return [{ tier: null, state: 'batch_paused', reason: 'somebody paused the batch', sinceMs: null }];
    }
    if (phase !== 'open') return [];
    const { records, log } = this.#sources;
    try {
      const plan = await records.plan(id);
      if (plan?.awaitsCalibration === true) return await within(MAX_READ_MS, this.#sampling(plan));
      const tiers = plan?.tiers ?? [];
      return await within(MAX_READ_MS, this.#read(tiers, state));
    } catch (error) {
      log.debug({ err: error, batch: id }, 'a batch is shown without what it waits for');
      return [];
    }
  }

  async #read(tiers: readonly string[], { counts, enqueued, total }: BatchState): Promise<Waiting[]> {
    const waiting = (await Promise.all(tiers.map((tier) => this.#tier(tier)))).filter((one) => one !== null);
    // A batch that has documents in the queues moves with them, however full these are.
    const hasNone = enqueued < total && counts.completed + counts.failed >= enqueued;
    if (!hasNone) return waiting;
    this.#shortage ??= readShortage(this.#sources.redis);
    const shortage = await this.#shortage;
    const full = tiers.flatMap((tier): Waiting[] => {
      const known = shortage[tier];
      return known === undefined ? [] : [{ tier, state: 'capacity', ...known }];
    });
    return [...waiting, ...full];
  }

  /** What is to be known before the batch is enqueued, and what that waits for itself. */
  async #sampling({ manifest, draws, tiers, validatedAtMs }: BatchPlan): Promise<Waiting[]> {
    const sample = await readBatch(this.#sources.redis, sampleIdOf(manifest.id));
    const answered = sample === null ? 0 : sample.counts.completed + sample.counts.failed;
    const all = drawnDocuments(draws ?? {}).length;
    const reason = `its thresholds are found by a sample of ${all} documents, ${answered} of which are answered`;
    const own: Waiting = { tier: null, state: 'sampling', reason, sinceMs: validatedAtMs };
    return [own, ...(sample?.phase === 'open' ? await this.#read(tiers, sample) : [])];
  }

  #tier(tier: string): Promise<WaitingTier | null> {
    let reading = this.#tiers.get(tier);
    if (reading === undefined) {
      reading = readWaiting(this.#sources.redis, tier);
      this.#tiers.set(tier, reading);
    }
    return reading;
  }
}

/** That Redis does not say how far a batch is. */
export const redisObstacle = (kind: 'lost' | 'unknown'): Waiting => ({
  tier: null,
  state: 'recovering',
  reason:
    kind === 'lost' ? 'the work in flight is read from storage again' : 'the work in flight cannot be reached just now',
  sinceMs: null,
});
