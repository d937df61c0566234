import {
  isOverCap,
  MAX_USD_KEY,
  MAX_USD_REACHED,
  type EndingRecord,
  type LineError,
  type Outcome,
} from '@spillway/core';
import { close, redisNowMs, type Queues } from '@spillway/redis';
import { readFooters, type BatchPlan, type Records } from '@spillway/storage';
import type { Ending, Finisher } from './finish.ts';
import type { LiveBatch } from './live-batches.ts';
import { sealUnfinished, type SealOptions } from './seal.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Pages of a batch that ends early that are sealed before the next batch is looked at. */
const PAGES_PER_STEP = 16;

/** Why a batch ended that has cost what it may. */
const CAP_REACHED: LineError = {
  code: MAX_USD_REACHED,
  message: `The batch ended early: it had cost what '${MAX_USD_KEY}' allows.`,
  param: `metadata.${MAX_USD_KEY}`,
  line: null,
};

export type EnderOptions = SealOptions & {
  readonly queues: Queues;
  readonly records: Records;
  readonly failures: StepFailures;
  readonly finisher: Finisher;
};

/** Closes batches that are all settled, have expired or have cost what they may, and finishes whatever is closed. */
export class Ender {
  readonly #options: EnderOptions;
  /** Pages of batches that end early that are known to stand in storage. */
  readonly #sealed = new Map<string, number>();

  constructor(options: EnderOptions) {
    this.#options = options;
  }

  /** Takes every batch that is to end one step on; true when something was done. */
  async endSome(live: readonly LiveBatch[]): Promise<boolean> {
    const now = live.length === 0 ? 0 : await redisNowMs(this.#options.redis);
    let isBusy = false;
    for (const batch of live) {
      const step = { batch: batch.id, step: 'end' };
      const done = await runStep(this.#options.failures, step, () => this.#endOne(batch, now));
      isBusy ||= done === true;
    }
    return isBusy;
  }

  async #endOne(batch: LiveBatch, now: number): Promise<boolean> {
    if (batch.phase === 'closed') return await this.#finish(batch);
    const settled = batch.counts.completed + batch.counts.failed;
    if (batch.phase === 'open' && settled === batch.total) return await this.#close(batch, 'completed');
    const isOver = now >= batch.expiresAtMs || (await this.#isOverCap(batch));
    return isOver && (await this.#close(batch, 'expired'));
  }

  /** Whether a batch has cost what it may. */
  async #isOverCap(batch: LiveBatch): Promise<boolean> {
    const manifest = batch.phase === 'validating' ? null : await this.#options.records.manifest(batch.id);
    return manifest !== null && isOverCap(manifest.metadata, batch.counts);
  }

  async #close(batch: LiveBatch, outcome: Outcome): Promise<boolean> {
    return (await close(this.#options.redis, batch.id, outcome)).kind === 'CLOSED';
  }

  /** Takes a closed batch one step on; true when there is more to do at once. */
  async #finish(batch: LiveBatch): Promise<boolean> {
    const { storage, records, finisher } = this.#options;
    const { id, warnings } = batch;
    const plan = await records.plan(id);
    const ending = await this.#endingOf(batch);
    if (plan === null) {
      const manifest = await records.manifest(id);
      if (manifest === null) throw new Error(`${id} has no manifest`);
      await finisher.finishUnvalidated(manifest, await finisher.recordEnding(id, ending));
      return true;
    }
    if (ending.outcome === 'completed') {
      // Its last pages are being sealed; the ending is only written down once nothing can be missing.
      if (batch.sealedPages < plan.pages.length) return false;
    } else if (!(await this.#sealSome(plan, await finisher.recordEnding(id, ending)))) return true;
    const footers = (await readFooters(storage, id, plan.pages.keys())).map((footer) => {
      if (footer === null) throw new Error(`${id} ends with a page missing from storage`);
      return footer;
    });
    const { manifest } = plan;
    await finisher.finish({ manifest, plan, ending: await finisher.recordEnding(id, ending), footers, warnings });
    this.#sealed.delete(id);
    return true;
  }

  /** How a closed batch ends, if nobody wrote that down before. */
  async #endingOf(batch: LiveBatch): Promise<Ending> {
    const outcome = batch.outcome ?? 'cancelled';
    const endedAtMs = batch.closedAtMs ?? (await redisNowMs(this.#options.redis));
    const isCapped = outcome === 'expired' && endedAtMs < batch.expiresAtMs && (await this.#isOverCap(batch));
    return { outcome, endedAtMs, errors: isCapped ? [CAP_REACHED] : [] };
  }

  /** Seals some more pages of a batch that ends early; true when all are sealed. */
  async #sealSome(plan: BatchPlan, ending: EndingRecord): Promise<boolean> {
    const { id } = plan.manifest;
    const from = this.#sealed.get(id) ?? 0;
    const to = Math.min(from + PAGES_PER_STEP, plan.pages.length);
    for (let page = from; page < to; page += 1) await sealUnfinished(this.#options, { plan, page, ending });
    this.#sealed.set(id, to);
    return to === plan.pages.length;
  }
}
