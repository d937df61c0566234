import { pageCost, pageOfDocument } from '@spillway/core';
import {
  admit,
  distrust,
  dropPage,
  enqueuePage,
  hasLostRules,
  lostDocuments,
  pagesInFlight,
  readBatch,
  sealedPages,
} from '@spillway/redis';
import type { Log } from '@spillway/runtime';
import { readFooters, type Records, type Storage } from '@spillway/storage';
import { addDocuments, type JobTarget } from './document-jobs.ts';
import { cleanUp } from './finish.ts';
import { readDocuments } from './input.ts';
import type { LiveBatch } from './live-batches.ts';
import { openMarks } from './open-marks.ts';
import { runStep, type StepFailures } from './step-failures.ts';

export type SweepOptions = JobTarget & {
  readonly storage: Storage;
  readonly records: Records;
  readonly failures: StepFailures;
  readonly log: Log;
};

/**
 * Enqueues again every enqueued document that has neither a result nor a job, and drops pages that belong to no batch.
 * Where Redis lost a batch's rules, only a recovery writes them again.
 */
export async function sweepPages(
  options: SweepOptions,
  live: readonly LiveBatch[],
  signal: AbortSignal,
): Promise<void> {
  const { redis, records, failures, log } = options;
  for (const { id, phase } of live) {
    if (phase !== 'open' || !(await hasLostRules(redis, id))) continue;
    log.warn({ batch: id }, 'Redis lost the rules of a batch: recovering again');
    return await distrust(redis);
  }
  const inFlight = await pagesInFlight(redis);
  const byId = new Map(live.map((batch) => [batch.id, batch]));
  for (const { batch, page } of inFlight) {
    const state = byId.get(batch);
    // The reading of the batches is older than that of the pages: the page of a batch made since stays.
    if (state === undefined) {
      if (await records.hasEnded(batch)) await dropPage(redis, batch, page);
    } else if (state.phase === 'open') {
      await runStep(failures, { batch, step: 'sweep' }, () => sweepPage(options, state, page));
    }
    if (signal.aborted) return;
  }
  const byBatch = Map.groupBy(inFlight, ({ batch }) => batch);
  for (const batch of live) {
    const own = new Set((byBatch.get(batch.id) ?? []).map(({ page }) => page));
    if (batch.phase === 'open') {
      await runStep(failures, { batch: batch.id, step: 'sweep' }, () => sweepLostPages(options, batch, own));
    }
    if (signal.aborted) return;
  }
}

/** Enqueues again the enqueued pages of a batch that are neither in storage nor in flight. `inFlight` was read before. */
async function sweepLostPages(options: SweepOptions, batch: LiveBatch, inFlight: ReadonlySet<number>): Promise<void> {
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
  const { redis, storage, records, log } = options;
  const plan = await records.plan(batch.id);
  const at = plan?.pages[page];
  if (plan === null || at === undefined || at.first + at.documents > batch.enqueued) return;
  const where = { first: at.first, enqueuedDocuments: at.documents, tiers: plan.tiers };
  const places = await lostDocuments(redis, batch.id, page, where);
  if (places.length === 0) return;
  if ((await enqueuePage(redis, batch.id, page, at, pageCost(at))) !== 'ENQUEUED') return;
  await addDocuments(options, { plan, page, documents: await readDocuments(storage, plan, at), places });
  log.warn({ batch: batch.id, page, documents: places.length }, 'enqueued again what had lost its job');
}

/** Admits batches that Redis does not know of, and removes the marks of those that ended. */
export async function sweepMarks(
  options: SweepOptions,
  live: readonly LiveBatch[],
  signal: AbortSignal,
): Promise<void> {
  const known = new Set(live.map((batch) => batch.id));
  for await (const batch of openMarks(options.storage)) {
    if (signal.aborted) return;
    if (known.has(batch)) continue;
    await runStep(options.failures, { batch, step: 'sweep' }, () => sweepMark(options, batch));
  }
}

async function sweepMark(options: SweepOptions, id: string): Promise<void> {
  const { redis, storage, records, log } = options;
  const manifest = await records.manifest(id);
  if (manifest === null) return;
  if (await isLost(options, id)) return await distrust(redis);
  if (await records.hasEnded(id)) return await cleanUp({ redis, storage }, id, []);
  const { tenant, createdAtMs, expiresAtMs } = manifest;
  const answer = await admit(redis, id, { tenant, createdAtMs, expiresAtMs });
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
