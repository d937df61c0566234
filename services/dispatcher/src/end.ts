import {
  auditNanoUsd,
  awaitsCalibration,
  Heap,
  isOverCap,
  maxNanoUsd,
  readCounts,
  spentNanoUsd,
  MAX_USD_KEY,
  MAX_USD_REACHED,
  sampleIdOf,
  type EndingRecord,
  type LineError,
  type Manifest,
  type Outcome,
} from '@spillway/core';
import { close, readBatch, redisNowMs, type BatchState, type Queues } from '@spillway/redis';
import { mapConcurrent, type Spans } from '@spillway/runtime';
import { readFooters, type BatchPlan, type Records } from '@spillway/storage';
import type { AuditRecorder } from './audits.ts';
import { Backlog } from './backlog.ts';
import type { Copier } from './copy.ts';
import type { Ending, Finisher } from './finish.ts';
import type { KnownResults } from './known-results.ts';
import type { LiveBatch, LiveBatches } from './live-batches.ts';
import { OneByOne } from './one-by-one.ts';
import type { Outlines } from './outlines.ts';
import { LARGE_PAGE_BYTES, sealUnfinished, type SealOptions } from './seal.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Batches that are looked at in one pass, and how many at a time: each waits for storage most of the time. */
const MAX_BATCHES = 64;
const MAX_CONCURRENT = 16;
/** Of batches that may cost so much only, so many are looked at in a pass, in turn. */
const MAX_CAPPED = 64;
/** Whether a batch is one of them is found out for so many in a pass. */
const MAX_LOOKS = 256;

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
  /** Null: there is nowhere to send traces to. */
  readonly spans: Spans | null;
  readonly records: Records;
  readonly outlines: Outlines;
  readonly failures: StepFailures;
  readonly finisher: Finisher;
  readonly live: LiveBatches;
  readonly audits: Pick<AuditRecorder, 'finish'>;
  readonly copier: Pick<Copier, 'answered'>;
  readonly known: KnownResults;
};

/** A batch with all that Redis knows of it. */
type KnownBatch = BatchState & { readonly id: string };

type Deadline = { readonly id: string; readonly atMs: number };

/** Closes batches that are all settled, have expired or have cost what they may, and finishes whatever is closed. */
export class Ender {
  readonly #options: EnderOptions;
  /** Batches with which something is to be done now. */
  readonly #due = new Backlog();
  /** When each batch expires, the next one first; those that have ended since are passed over. */
  readonly #deadlines = new Heap<Deadline>((left, right) => left.atMs < right.atMs);
  readonly #dated = new Set<string>();
  /** Open batches of which it is not known yet whether they may cost so much only, and those that may. */
  readonly #unpriced = new Set<string>();
  readonly #capped = new Set<string>();
  /** Pages of batches that end early that are known to stand in storage. */
  readonly #sealed = new Map<string, number>();
  readonly #large = new OneByOne();
  /** Redis' clock at the last pass. */
  #nowMs = 0;

  constructor(options: EnderOptions) {
    this.#options = options;
  }

  note(id: string, batch: LiveBatch | null): void {
    if (batch !== null && isDue(batch, this.#nowMs)) this.#due.add(id, batch.tenant);
    else this.#due.drop(id);
    if (batch === null) {
      for (const set of [this.#dated, this.#unpriced, this.#capped, this.#sealed]) set.delete(id);
      return;
    }
    if (!this.#dated.has(id)) this.#deadlines.push({ id, atMs: batch.expiresAtMs });
    this.#dated.add(id);
    if (batch.phase !== 'open') for (const set of [this.#unpriced, this.#capped]) set.delete(id);
    else if (!this.#capped.has(id)) this.#unpriced.add(id);
  }

  /** Takes some batches that are to end one step on, tenants in turn; true when something was done. */
  async endSome(): Promise<boolean> {
    const { redis, failures, live } = this.#options;
    if (this.#dated.size === 0) return false;
    this.#nowMs = await redisNowMs(redis);
    this.#noteExpired();
    await this.#findCapped();
    const isReady = (id: string): boolean => !failures.isWaiting({ batch: id, step: 'end' });
    const capped = this.#capped.values().filter(isReady).take(MAX_CAPPED).toArray();
    const due = this.#due.take(MAX_BATCHES, isReady).map(({ id }) => id);
    const done = await mapConcurrent(new Set([...due, ...capped]), MAX_CONCURRENT, async (id) => {
      const moved = await runStep(failures, { batch: id, step: 'end' }, () => this.#endOne(id));
      if (moved === true) live.noteChange(id);
      return moved === true;
    });
    // Of what could not be done now something may be known that was not said.
    for (const id of due) live.noteChange(id);
    // Looked at again after the others.
    for (const id of capped) if (this.#capped.delete(id)) this.#capped.add(id);
    return done.some(Boolean);
  }

  #noteExpired(): void {
    for (let next = this.#deadlines.peek(); next !== undefined; next = this.#deadlines.peek()) {
      if (next.atMs > this.#nowMs) return;
      this.#deadlines.pop();
      const batch = this.#options.live.get(next.id);
      if (batch !== undefined && batch.phase !== 'closed') this.#due.add(batch.id, batch.tenant);
    }
  }

  async #findCapped(): Promise<void> {
    const { failures, outlines } = this.#options;
    const isReady = (id: string): boolean => !failures.isWaiting({ batch: id, step: 'plan' });
    const some = this.#unpriced.values().filter(isReady).take(MAX_LOOKS).toArray();
    await mapConcurrent(some, MAX_CONCURRENT, async (id) => {
      const outline = await runStep(failures, { batch: id, step: 'plan' }, () => outlines.of(id));
      if (outline === null || !this.#unpriced.delete(id)) return;
      if (outline.isCapped) this.#capped.add(id);
    });
  }

  async #endOne(id: string): Promise<boolean> {
    const state = await readBatch(this.#options.redis, id);
    if (state === null) return true;
    const batch = { id, ...state };
    if (batch.phase === 'closed') return await this.#finish(batch);
    const settled = batch.counts.completed + batch.counts.failed;
    if (isWhole({ ...batch, settled })) return await this.#close(batch, 'completed');
    const isOver = this.#nowMs >= batch.expiresAtMs || (await this.#isOverCap(batch));
    return isOver && (await this.#close(batch, 'expired'));
  }

  /** Whether a batch has cost what it may. */
  async #isOverCap(batch: KnownBatch): Promise<boolean> {
    const manifest = batch.phase === 'validating' ? null : await this.#options.records.manifest(batch.id);
    if (manifest === null || maxNanoUsd(manifest.metadata) === null) return false;
    const beside = auditNanoUsd(batch.audits) + (await this.#sampleNanoUsd(manifest, batch));
    return isOverCap(manifest.metadata, batch.counts, beside);
  }

  /** About what its sample cost of those drawn documents that the batch has not enqueued, and so not counted, yet. */
  async #sampleNanoUsd({ id, cascades }: Manifest, { enqueued, total }: KnownBatch): Promise<number> {
    // Nothing is known of how many documents one has that was never opened.
    const left = total === 0 ? 1 : 1 - enqueued / total;
    if (!awaitsCalibration(cascades) || left <= 0) return 0;
    const sample = await this.#options.records.final(sampleIdOf(id));
    // They were drawn evenly.
    return sample === null ? 0 : spentNanoUsd(readCounts(sample)) * left;
  }

  async #close(batch: KnownBatch, outcome: Outcome): Promise<boolean> {
    return (await close(this.#options.redis, batch.id, outcome)).kind === 'CLOSED';
  }

  /** Takes a closed batch one step on; true when there is more to do at once. */
  async #finish(batch: KnownBatch): Promise<boolean> {
    const { storage, records, finisher } = this.#options;
    const { id, warnings, notes } = batch;
    const plan = await records.plan(id);
    const ending = await this.#endingOf(batch);
    if (plan === null) {
      const manifest = await records.manifest(id);
      if (manifest === null) throw new Error(`${id} has no manifest`);
      await finisher.finishUnvalidated(manifest, await finisher.recordEnding(id, ending));
      return true;
    }
    if (!(await this.#endSample(plan, ending))) return false;
    if (ending.outcome === 'completed') {
      // Its last pages are being sealed; the ending is only written down once nothing can be missing.
      if (batch.sealedPages < plan.pages.length) return false;
    } else if (!(await this.#sealSome(plan, await finisher.recordEnding(id, ending)))) return true;
    const footers = (await readFooters(storage, id, plan.pages.keys())).map((footer) => {
      if (footer === null) throw new Error(`${id} ends with a page missing from storage`);
      return footer;
    });
    const recorded = await finisher.recordEnding(id, ending);
    const audits = await this.#options.audits.finish(plan);
    await finisher.finish({ manifest: plan.manifest, plan, ending: recorded, footers, warnings, notes, audits });
    this.#sealed.delete(id);
    return true;
  }

  /** Ends the sample of a batch that ends before its thresholds are found; what it answered so far is the batch's, too. */
  async #endSample(plan: BatchPlan, ending: Ending): Promise<boolean> {
    const { redis, records, finisher } = this.#options;
    const { id } = plan.manifest;
    if (!plan.awaitsCalibration) return true;
    const sample = sampleIdOf(id);
    // Written down before it is looked for: one that is made meanwhile finds it when it is validated.
    await finisher.recordEnding(id, ending);
    if ((await records.manifest(sample)) === null) return true;
    if (await records.hasEnded(sample)) return true;
    await close(redis, sample, 'cancelled');
    return false;
  }

  /** How a closed batch ends, if nobody wrote that down before. */
  async #endingOf(batch: KnownBatch): Promise<Ending> {
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
    for (let page = from; page < to; page += 1) {
      const seal = () => sealUnfinished(this.#options, { plan, page, ending });
      await ((plan.pages[page]?.bytes ?? 0) > LARGE_PAGE_BYTES ? this.#large.run(seal) : seal());
    }
    this.#sealed.set(id, to);
    return to === plan.pages.length;
  }
}

/** Whether a batch can be closed, or taken one step on. */
function isDue(batch: LiveBatch, nowMs: number): boolean {
  const { phase, outcome, sealedPages, pages, expiresAtMs } = batch;
  if (phase !== 'closed' && expiresAtMs <= nowMs) return true;
  if (phase === 'open') return isWhole(batch);
  // Its last pages are being sealed, which is said.
  return phase === 'closed' && (outcome !== 'completed' || sealedPages >= pages);
}

/** Whether an open batch waits for no document: all are settled, or all of its pages are sealed, whatever the counters say. */
function isWhole({
  phase,
  settled,
  total,
  sealedPages,
  pages,
}: Pick<LiveBatch, 'phase' | 'settled' | 'total' | 'sealedPages' | 'pages'>): boolean {
  return phase === 'open' && (settled === total || (pages > 0 && sealedPages === pages));
}
