import { pageOfDocument } from '@spillway/core';
import { admit, distrust, dropPage, hasLostRules, pagesInFlight, readBatch, sealedPages } from '@spillway/redis';
import { mapConcurrent, type Log } from '@spillway/runtime';
import { readFooters, type Records, type Storage } from '@spillway/storage';
import { addLostDocuments, type AnswerSources, type JobTarget } from './document-jobs.ts';
import { cleanUp } from './finish.ts';
import type { LiveBatch, LiveBatches } from './live-batches.ts';
import { MARKS_AT_A_TIME, someOpenMarks } from './open-marks.ts';
import type { Outlines } from './outlines.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Batches and pages that one sweep looks at; the next one goes on behind them. So many at a time. */
const BATCHES_PER_SWEEP = 5_000;
const PAGES_PER_SWEEP = 2_000;
const MAX_CONCURRENT = 8;

export type SweepOptions = JobTarget &
  AnswerSources & {
    readonly storage: Storage;
    readonly records: Records;
    readonly failures: StepFailures;
    readonly live: LiveBatches;
    readonly outlines: Outlines;
    readonly log: Log;
  };

/** Finds what an event was lost for. A sweep looks at a part of the work, so that what it costs does not grow with it. */
export class Sweep {
  readonly #options: SweepOptions;
  /** Behind which mark, and which page in flight, the next sweep goes on. */
  #lastMark: string | null = null;
  #nextPage = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  async sweepSome(signal: AbortSignal): Promise<void> {
    const batches = await this.#options.live.readSome(BATCHES_PER_SWEEP);
    await this.#sweepMarks(signal);
    await this.#sweepPages(batches, signal);
    await this.#sweepDelayed(signal);
  }

  /** Admits batches that Redis does not know of, and removes the marks of those that ended. */
  async #sweepMarks(signal: AbortSignal): Promise<void> {
    const { storage, live, failures } = this.#options;
    const marks = await someOpenMarks(storage, this.#lastMark);
    this.#lastMark = marks.length < MARKS_AT_A_TIME ? null : (marks.at(-1) ?? null);
    const unknown = marks.filter((batch) => live.get(batch) === undefined);
    await mapConcurrent(unknown, MAX_CONCURRENT, async (batch) => {
      if (signal.aborted) return;
      await runStep(failures, { batch, step: 'sweep' }, () => sweepMark(this.#options, batch));
    });
  }

  /**
   * Enqueues again every enqueued document that has neither a result nor a job, nor waits as a copy for that of another,
   * and drops pages that belong to no batch.
   * Where Redis lost a batch's rules, only a recovery writes them again.
   */
  async #sweepPages(batches: readonly LiveBatch[], signal: AbortSignal): Promise<void> {
    const { redis, failures, log } = this.#options;
    const open = batches.filter(({ phase }) => phase === 'open');
    const lost = await mapConcurrent(open, MAX_CONCURRENT, async ({ id }) =>
      (await hasLostRules(redis, id)) ? id : null,
    );
    const batch = lost.find((id) => id !== null) ?? null;
    if (batch !== null) {
      log.warn({ batch }, 'Redis lost the rules of a batch: recovering again');
      return await distrust(redis);
    }
    const inFlight = await pagesInFlight(redis);
    const from = this.#nextPage < inFlight.length ? this.#nextPage : 0;
    this.#nextPage = from + PAGES_PER_SWEEP;
    await mapConcurrent(inFlight.slice(from, this.#nextPage), MAX_CONCURRENT, async (page) => {
      if (!signal.aborted) await this.#sweepInFlight(page);
    });
    const byBatch = Map.groupBy(inFlight, ({ batch: id }) => id);
    await mapConcurrent(open, MAX_CONCURRENT, async (one) => {
      if (signal.aborted) return;
      const own = new Set((byBatch.get(one.id) ?? []).map(({ page }) => page));
      await runStep(failures, { batch: one.id, step: 'sweep' }, () => sweepLostPages(this.#options, one, own));
    });
  }

  async #sweepDelayed(signal: AbortSignal): Promise<void> {
    const { queues, outlines, log } = this.#options;
    for (const tier of outlines.tiers()) {
      if (signal.aborted) return;
      const documents = await queues.wakeMisdated(tier);
      if (documents > 0) log.warn({ tier, documents }, 'woke documents that a wrong clock had put off');
    }
  }

  async #sweepInFlight({ batch, page }: { readonly batch: string; readonly page: number }): Promise<void> {
    const { redis, records, live, failures } = this.#options;
    const state = live.get(batch);
    // The reading of the batches is older than that of the pages: the page of a batch made since stays.
    if (state === undefined) {
      if (await records.hasEnded(batch)) await dropPage(redis, batch, page);
    } else if (state.phase === 'open') {
      await runStep(failures, { batch, step: 'sweep' }, () => sweepPage(this.#options, state, page));
    }
  }
}

/** Enqueues again the enqueued pages of a batch that are neither in storage nor in flight. `inFlight` was read after it. */
async function sweepLostPages(options: SweepOptions, batch: LiveBatch, inFlight: ReadonlySet<number>): Promise<void> {
  if (batch.enqueued === 0 || batch.sealedPages + inFlight.size >= batch.pages) return;
  const plan = await options.records.plan(batch.id);
  if (plan === null) return;
  const enqueued = pageOfDocument(plan.pages, batch.enqueued) ?? plan.pages.length;
  if (batch.sealedPages + inFlight.size >= enqueued) return;
  const sealed = new Set(await sealedPages(options.redis, batch.id, enqueued));
  for (let page = 0; page < enqueued; page += 1) {
    if (!sealed.has(page) && !inFlight.has(page)) await sweepPage(options, batch, page);
  }
}

async function sweepPage(options: SweepOptions, batch: LiveBatch, page: number): Promise<void> {
  const { records, log } = options;
  const plan = await records.plan(batch.id);
  const at = plan?.pages[page];
  if (plan === null || at === undefined || at.first + at.documents > batch.enqueued) return;
  const documents = await addLostDocuments(options, plan, page);
  if (documents === 0) return;
  log.warn({ batch: batch.id, page, documents }, 'enqueued again what had lost its job');
}

async function sweepMark(options: SweepOptions, id: string): Promise<void> {
  const { redis, storage, records, live, log } = options;
  const manifest = await records.manifest(id);
  if (manifest === null) return;
  if (await isLost(options, id)) return await distrust(redis);
  if (await records.hasEnded(id)) return await cleanUp({ redis, storage }, id, await records.plan(id));
  const { tenant, createdAtMs, expiresAtMs } = manifest;
  const answer = await admit(redis, id, { tenant, createdAtMs, expiresAtMs, restored: 1 });
  live.noteChange(id);
  if (answer === 'ADMITTED') log.warn({ batch: id }, 'admitted a batch that Redis did not know');
}

/** Whether a batch that Redis does not know was validated or closed, and has not ended: only a recovery restores it whole. */
async function isLost({ redis, storage, records, log }: SweepOptions, id: string): Promise<boolean> {
  const plan = await records.plan(id);
  const ending = await records.ending(id);
  if (plan === null && ending === null) return false;
  if ((await readBatch(redis, id)) !== null) return false;
  // Read last: Redis forgets a batch once its final record stands.
  if (await records.hasEnded(id)) return false;
  // All batches stand still during a recovery: it is worth it only if what this batch has can be read.
  if (plan !== null) await readFooters(storage, id, plan.pages.keys());
  log.warn({ batch: id }, 'Redis lost a batch in work: recovering again');
  return true;
}
