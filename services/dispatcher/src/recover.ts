import { addCounts, KEYS, NO_COUNTS, RECORDS } from '@spillway/core';
import {
  beginRecovery,
  finishRecovery,
  forget,
  isRecovering,
  leaveOut,
  liveBatches,
  markSealed,
  recount,
  restore,
  type Recovery,
} from '@spillway/redis';
import { pause } from '@spillway/runtime';
import { readRecord, walkKeys } from '@spillway/storage';
import type { BatchPlan, Desk } from './desk.ts';
import { clean } from './end.ts';
import { readFooters } from './seal.ts';

const AT_ONCE = 16;

/** Pauses before a batch whose records could not be read is tried again: storage may have been away for a moment. */
const AGAIN_MS = [500, 2_000];

/**
 * Puts Redis back to what storage says, when it was wiped, restarted or replaced. Until its last step scripts answer
 * RECOVERING; what Redis still holds (results of open pages, jobs) stays in use. A batch whose records cannot be read
 * holds up nobody: it is left out, and the sweep has the recovery done again once they can.
 */
export async function recoverIfNeeded(desk: Desk, token: string, signal: AbortSignal): Promise<boolean> {
  if (!(await isRecovering(desk.board))) return false;
  const recovery = await beginRecovery(desk.board, token);
  const known = new Set<string>();
  let troubled: string[] = [];
  for await (const batch of openMarks(desk)) {
    if (signal.aborted) return false;
    const outcome = await tryBatch(desk, recovery, batch);
    if (outcome !== 'not_in_work') known.add(batch);
    if (outcome === 'troubled') troubled.push(batch);
  }
  for (const afterMs of AGAIN_MS) {
    if (troubled.length > 0) await pause(afterMs, signal);
    const still: string[] = [];
    for (const batch of troubled) if ((await tryBatch(desk, recovery, batch)) === 'troubled') still.push(batch);
    troubled = still;
  }
  if (signal.aborted) return false;
  for (const batch of troubled) {
    const answer = await leaveOut(desk.board, recovery, batch);
    desk.log.error({ batch, answer }, 'this batch cannot be recovered now and is left out');
  }
  // Redis may have gone back to a time when a batch was in work that has ended since.
  for (const batch of await liveBatches(desk.board)) if (!known.has(batch)) await dropEnded(desk, batch);
  const done = await finishRecovery(desk.board, recovery);
  // An empty Redis beside an empty storage is a first start.
  if (done) desk.telemetry.meters.count('cascade.recoveries', 1);
  const level = known.size === 0 ? 'info' : 'warn';
  desk.log[level]({ batches: known.size, leftOut: troubled.length, done }, 'recovered what Redis forgot from storage');
  return true;
}

async function tryBatch(
  desk: Desk,
  recovery: Recovery,
  batch: string,
): Promise<'recovered' | 'not_in_work' | 'troubled'> {
  try {
    return (await recoverBatch(desk, recovery, batch)) ? 'recovered' : 'not_in_work';
  } catch (error) {
    desk.log.warn({ batch, err: error }, 'recovering this batch failed');
    return 'troubled';
  }
}

/**
 * Drops a batch that has ended. What has no open mark and has not ended is left alone: another recovery may have
 * finished meanwhile, and the batch have been made after it.
 */
async function dropEnded(desk: Desk, batch: string): Promise<void> {
  if ((await desk.storage.size(KEYS.final(batch))) !== null) await clean(desk, batch, []);
  else if ((await desk.storage.size(KEYS.manifest(batch))) === null) await forget(desk.board, batch, []);
}

/** The batches that were not ended, as their marks say. */
export async function* openMarks(desk: Desk): AsyncGenerator<string> {
  for await (const keys of walkKeys(desk.storage, KEYS.openMarks)) {
    for (const key of keys) yield key.slice(KEYS.openMarks.length);
  }
}

/** False when the batch is not to be worked on: not created after all, or ended. */
async function recoverBatch(desk: Desk, recovery: Recovery, id: string): Promise<boolean> {
  const manifest = await desk.records.manifest(id);
  if (manifest === null) return false;
  if ((await desk.storage.size(KEYS.final(id))) !== null) return false;
  const ending = await readRecord(desk.storage, KEYS.ending(id), RECORDS.ending);
  const plan = await desk.records.plan(id);
  const { tenant, createdAtMs, expiresAtMs } = manifest;
  const validated =
    plan === null
      ? null
      : { total: plan.total, pages: plan.pages.length, model: plan.model, inProgressAtMs: plan.validatedAtMs };
  const answer = await restore(desk.board, recovery, id, { tenant, createdAtMs, expiresAtMs, validated, ending });
  // Redis was lost again, or another dispatcher recovers it: the last step will be refused.
  if (answer === 'STALE') return true;
  if (plan !== null) await restorePages(desk, recovery, plan);
  return true;
}

/** Marks the pages that stand in storage, then counts the batch anew. */
async function restorePages(desk: Desk, recovery: Recovery, plan: BatchPlan): Promise<void> {
  const { id } = plan.manifest;
  const footers = (await readFooters(desk, plan)).filter((footer) => footer !== null);
  for (let from = 0; from < footers.length; from += AT_ONCE) {
    const some = footers.slice(from, from + AT_ONCE);
    await Promise.all(some.map((footer) => markSealed(desk.board, id, footer)));
  }
  const sums = footers.reduce((sum, footer) => addCounts(sum, footer.counts), NO_COUNTS);
  await recount(desk.board, recovery, id, { pages: footers.length, sums });
}
