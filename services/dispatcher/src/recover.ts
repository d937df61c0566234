import { addCounts, addSaid, KEYS, NO_COUNTS, readCounts, type Said } from '@spillway/core';
import {
  beginRecovery,
  finishRecovery,
  forget,
  isRecovering,
  keepSaid,
  leaveOut,
  liveBatches,
  markSealed,
  pagesInFlight,
  recount,
  restore,
  rewritePage,
  type Recovery,
  type RedisStore,
} from '@spillway/redis';
import { mapConcurrent, pause, type Log, type Meters } from '@spillway/runtime';
import { readFooters, type BatchPlan, type Records, type Storage } from '@spillway/storage';
import type { AuditRecorder } from './audits.ts';
import { cleanUp } from './finish.ts';
import { openMarks } from './open-marks.ts';

/** Pages are marked as sealed by this many at a time. */
const MAX_MARKS = 16;

/** Batches are recovered by this many at a time: each waits for storage most of the time. */
const MAX_BATCHES = 16;

/** Pauses before the batches that could not be read are read again: storage may have been away for a moment. */
const READ_AGAIN_MS = [500, 2_000];

export type RecoveryOptions = {
  readonly redis: RedisStore;
  readonly storage: Storage;
  readonly records: Records;
  readonly meters: Meters;
  readonly audits: Pick<AuditRecorder, 'restored'>;
  readonly log: Log;
};

/**
 * Puts Redis back to what storage says, when it was wiped, restarted or replaced. Until the last step scripts answer
 * RECOVERING; what Redis still holds (results of open pages, jobs) stays in use. A batch whose records cannot be read
 * holds up nobody: it is left out, and the sweep begins another recovery once they can. True: a recovery was done.
 */
export async function recoverIfNeeded(options: RecoveryOptions, token: string, signal: AbortSignal): Promise<boolean> {
  const { redis, meters, log } = options;
  if (!(await isRecovering(redis))) return false;
  const recovery = await beginRecovery(redis, token);
  if (recovery === null) return false;
  // None becomes open or is settled before the recovery is over.
  const open = Map.groupBy(await pagesInFlight(redis), ({ batch }) => batch);
  const pagesOf = (batch: string): number[] => (open.get(batch) ?? []).map(({ page }) => page);
  const known = new Set(await liveBatches(redis));
  const { inWork, unreadable } = await recoverBatches({ ...options, pagesOf }, recovery, signal);
  if (signal.aborted) return false;
  for (const batch of unreadable) {
    const answer = await leaveOut(redis, recovery, batch, pagesOf(batch));
    log.error({ batch, answer }, 'this batch cannot be recovered now and is left out');
  }
  // Redis may have gone back to a time when a batch was in work that has ended since.
  for (const batch of await liveBatches(redis)) if (!inWork.has(batch)) await dropEnded(options, batch);
  const done = await finishRecovery(redis, recovery);
  // An empty Redis beside an empty storage is a first start.
  if (done) meters.count('cascade.recoveries', 1);
  const forgotten = inWork.difference(known).size;
  const fields = { batches: inWork.size, forgotten, leftOut: unreadable.length, done };
  // A Redis that was started anew on what it had kept is looked through in the same way, and nothing was wrong.
  log[forgotten === 0 ? 'info' : 'warn'](fields, 'recovered what Redis forgot from storage');
  return true;
}

/** `pagesOf` says which open pages Redis still has of a batch. */
type Recovering = RecoveryOptions & { readonly pagesOf: (batch: string) => number[] };

/** Recovers every batch that has an open mark; answers those in work, and those among them that cannot be read. */
async function recoverBatches(
  options: Recovering,
  recovery: Recovery,
  signal: AbortSignal,
): Promise<{ inWork: ReadonlySet<string>; unreadable: readonly string[] }> {
  const inWork = new Set<string>();
  let unreadable: string[] = [];
  for await (const batches of openMarks(options.storage)) {
    await mapConcurrent(batches, MAX_BATCHES, async (batch) => {
      if (signal.aborted) return;
      const outcome = await recoverIfReadable(options, recovery, batch);
      if (outcome !== 'not_in_work') inWork.add(batch);
      if (outcome === 'unreadable') unreadable.push(batch);
    });
    if (signal.aborted) return { inWork, unreadable };
  }
  for (const afterMs of READ_AGAIN_MS) {
    if (unreadable.length > 0) await pause(afterMs, signal);
    const still: string[] = [];
    for (const batch of unreadable) {
      if ((await recoverIfReadable(options, recovery, batch)) === 'unreadable') still.push(batch);
    }
    unreadable = still;
  }
  return { inWork, unreadable };
}

async function recoverIfReadable(
  options: Recovering,
  recovery: Recovery,
  batch: string,
): Promise<'recovered' | 'not_in_work' | 'unreadable'> {
  try {
    return (await recoverBatch(options, recovery, batch)) ? 'recovered' : 'not_in_work';
  } catch (error) {
    // Redis was lost once more: so is this recovery.
    if (options.redis.outage.explains(error)) throw error;
    options.log.warn({ batch, err: error }, 'recovering this batch failed');
    return 'unreadable';
  }
}

/** False when the batch is not to be worked on: it was not created after all, or it has ended. */
async function recoverBatch(
  { redis, storage, records, audits, pagesOf }: Recovering,
  recovery: Recovery,
  id: string,
): Promise<boolean> {
  const manifest = await records.manifest(id);
  if (manifest === null || (await records.hasEnded(id))) return false;
  const ending = await records.ending(id);
  const plan = await records.plan(id);
  const { tenant, createdAtMs, expiresAtMs } = manifest;
  // One whose thresholds are still to be found is opened with them.
  const isOpen = plan !== null && (!plan.awaitsCalibration || ending !== null);
  const validated = isOpen ? { ...validatedOf(plan), ...(await audits.restored(plan)) } : null;
  // A sample is paused with the batch that it is of.
  const steering = await records.steering(manifest.sampleOf ?? id);
  const stored = { tenant, createdAtMs, expiresAtMs, ending, validated, steering };
  const answer = await restore(redis, recovery, id, stored);
  // STALE: Redis was lost again, or another dispatcher recovers it. Then the last step will be refused.
  if (answer !== 'STALE' && plan !== null) await restorePages({ redis, storage, pagesOf }, recovery, plan);
  return true;
}

const validatedOf = ({ total, pages, model, validatedAtMs, cascades, copies }: BatchPlan) => ({
  total,
  pages: pages.length,
  model,
  inProgressAtMs: validatedAtMs,
  copies: copies?.count ?? null,
  rules: cascades,
});

/**
 * Marks the pages that stand in storage, then counts the batch anew. Nothing is settled meanwhile, but a full page may be
 * sealed: `known` are those that stood in storage when this was done before.
 */
async function restorePages(
  options: Pick<Recovering, 'redis' | 'storage' | 'pagesOf'>,
  recovery: Recovery,
  plan: BatchPlan,
  known = -1,
): Promise<void> {
  const { redis, storage, pagesOf } = options;
  const { id } = plan.manifest;
  const open = pagesOf(id);
  const footers = (await readFooters(storage, id, plan.pages.keys())).filter((footer) => footer !== null);
  await mapConcurrent(footers, MAX_MARKS, (footer) => markSealed(redis, id, footer));
  await mapConcurrent(open, MAX_MARKS, (page) => rewritePage(redis, recovery, id, page));
  const sums = footers.reduce((sum, footer) => addCounts(sum, readCounts(footer)), NO_COUNTS);
  const answer = await recount(redis, recovery, id, { pages: footers.length, sums, open });
  if (answer === 'STALE') return;
  if (answer === 'SEALED_MEANWHILE') {
    if (footers.length === known) throw new Error(`${id} has a page missing from storage`);
    return await restorePages(options, recovery, plan, footers.length);
  }
  await keepSaid(
    redis,
    id,
    footers.reduce<Said>((all, { said = {} }) => addSaid(all, said), {}),
  );
}

/**
 * Drops a batch that has ended. What has no open mark and has not ended is left as it is: another recovery may have
 * finished meanwhile, and the batch have been made after it.
 */
async function dropEnded({ redis, storage, records }: RecoveryOptions, batch: string): Promise<void> {
  if (await records.hasEnded(batch)) await cleanUp({ redis, storage }, batch, null);
  else if ((await storage.size(KEYS.manifest(batch))) === null) await forget(redis, batch);
}
