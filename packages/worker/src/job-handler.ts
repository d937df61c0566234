import { MAX_HELD_MS, readJob, type DocumentJob } from '@spillway/core';
import { startJob, type HeldJob, type RedisClock, type RedisStore, type Started } from '@spillway/redis';
import type { Job } from 'bullmq';
import type { BreakerControl } from './breaker-control.ts';
import type { BundleHandler } from './bundle-handler.ts';
import { DONE, later, PUT_BACK, type Disposition } from './disposition.ts';
import type { DocumentHandler } from './document-handler.ts';
import { HeldDocument } from './held-document.ts';
import type { RulesCache } from './rules-cache.ts';
import type { Slot, Slots } from './slots.ts';
import type { WorkerPause } from './worker-pause.ts';

export type JobHandlerOptions = {
  readonly tier: string;
  /** How long a call may take. */
  readonly callMs: number;
};

export type JobHandlerParts = {
  readonly redis: RedisStore;
  readonly slots: Slots;
  readonly documents: DocumentHandler;
  readonly bundles: BundleHandler;
  readonly breaker: BreakerControl;
  readonly pause: WorkerPause;
  readonly clock: RedisClock;
  readonly rules: Pick<RulesCache, 'readAhead'>;
};

/** A job of a newer Spillway waits for a newer worker. */
const NEWER_JOB_MS = 5_000;

/** Redis is recovering. */
const RECOVERING_MS = 500;

/** The dispatcher looks for the drafts of an expired batch in their jobs, and drops those when it has them. */
const CLOSED_DRAFT_MS = 10_000;

/** Somebody has paused the batch. A job looks again ever later; whoever has it go on wakes its jobs. */
const PAUSED_MS = { first: 5_000, most: 300_000 } as const;

/** Another document that is asked alone is asked about now. */
const ALONE_MS = 500;

/** Handles the jobs of one tier: from whether their documents still are to be done to what becomes of the jobs. */
export class JobHandler {
  readonly #parts: JobHandlerParts;
  readonly #options: JobHandlerOptions;

  constructor(parts: JobHandlerParts, options: JobHandlerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Each document of a job has a place in the line for a call as soon as the job is there, and no later than others. One
   * that came as the concurrency limit fell goes back: others may have a call for it.
   */
  async handle(job: Job, token: string): Promise<Disposition> {
    const content = readJob(job.data);
    if (content.kind === 'newer') return later(NEWER_JOB_MS);
    // Of an older Spillway, or of a Redis that lost its data: the sweep enqueues the document again, in today's shape.
    if (content.kind === 'older') return DONE;
    const { documents } = content;
    const slots = documents.map(() => this.#parts.slots.reserve());
    const held = { tier: this.#options.tier, id: job.id ?? '', token };
    const [first, ...more] = documents;
    const [slot] = slots;
    if (first === undefined || slot === undefined) return DONE;
    try {
      return content.kind === 'bundle'
        ? await this.#handleBundle(job, held, [first, ...more], slots)
        : await this.#handleOne(job, held, first, slot);
    } finally {
      for (const one of slots) one.release();
    }
  }

  async #handleOne(job: Job, held: HeldJob, document: DocumentJob, slot: Slot): Promise<Disposition> {
    if (!(await slot.within(MAX_HELD_MS))) return PUT_BACK;
    const started = await this.#start(job, held, [document]);
    const { stalledCounter: losses, attemptsStarted: takes } = job;
    const instead = this.#instead(started, [document], takes);
    if (instead !== null) return instead;
    const one = new HeldDocument(document, { job: held, isBundled: false, started, losses, takes });
    return await this.#parts.documents.handle(one);
  }

  async #handleBundle(
    job: Job,
    held: HeldJob,
    documents: readonly [DocumentJob, ...DocumentJob[]],
    slots: readonly Slot[],
  ): Promise<Disposition> {
    const { bundles } = this.#parts;
    const { priority, stalledCounter: losses, attemptsStarted: takes } = job;
    // Whoever had it was lost in the middle of it: its documents go on by themselves.
    if (losses > 0) return await bundles.split(held, priority);
    const beganMs = performance.now();
    if (!(await slots[0]?.within(MAX_HELD_MS))) return PUT_BACK;
    const started = await this.#start(job, held, documents);
    const instead = this.#instead(started, documents, takes);
    if (instead !== null) return instead;
    return await bundles.handle({ held, documents, slots, priority, started, takes, beganMs });
  }

  async #start(job: Job, held: HeldJob, documents: readonly [DocumentJob, ...DocumentJob[]]): Promise<Started> {
    const { redis, breaker, clock, rules } = this.#parts;
    const { priority, stalledCounter: losses } = job;
    const taking = { priority, answered: breaker.answerToTell(), callMs: this.#options.callMs, losses };
    rules.readAhead(documents[0].batch);
    const askedAtMs = performance.now();
    const started = await startJob(redis, held, documents, taking);
    clock.observe({ askedAtMs, answeredAtMs: performance.now(), redisMs: started.nowMs });
    return started;
  }

  /** What is done with a job that is not begun; null: it is. */
  #instead({ state, ms }: Started, documents: readonly DocumentJob[], takes: number): Disposition | null {
    switch (state) {
      case 'RECOVERING':
        return later(RECOVERING_MS);
      case 'CLOSED':
        return documents.some(({ drafts }) => drafts.length > 0) ? later(CLOSED_DRAFT_MS) : DONE;
      case 'PAUSED':
        return later(pausedMs(takes));
      case 'WAIT':
        this.#parts.pause.waitForBreaker(ms);
        return PUT_BACK;
      case 'ALONE':
        return later(ALONE_MS);
      case 'GO':
      case 'PROBE':
        return null;
      case 'ALREADY':
      case 'GONE':
        return DONE;
    }
  }
}

/** Jobs of one batch were paused at once, and are not to come at once again and again. */
const pausedMs = (takes: number): number =>
  Math.min(PAUSED_MS.most, PAUSED_MS.first * 2 ** Math.max(0, takes - 1)) * (0.75 + Math.random() / 2);
