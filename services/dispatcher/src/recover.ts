import { KEYS, RECORDS } from '@spillway/core';
import {
  beginRecovery,
  finishRecovery,
  forget,
  isRecovering,
  isSealed,
  liveBatches,
  markSealed,
  restore,
  type Recovery,
} from '@spillway/redis';
import { readRecord, walkKeys } from '@spillway/storage';
import type { BatchPlan, Desk } from './desk.ts';
import { clean } from './end.ts';
import { storedFooter } from './seal.ts';

const READ_AT_ONCE = 16;

/**
 * Puts Redis back to what storage says, when it was wiped, restarted or replaced. Until its last step scripts answer
 * RECOVERING; what Redis still holds (results of open pages, jobs) stays in use. A batch whose records cannot be read
 * holds up nobody: it is left out, and the sweep has the recovery done again once they can.
 */
export async function recoverIfNeeded(desk: Desk, token: string): Promise<boolean> {
  if (!(await isRecovering(desk.board))) return false;
  const recovery = await beginRecovery(desk.board, token);
  const restored = new Set<string>();
  for await (const batch of openMarks(desk)) {
    try {
      if (await recoverBatch(desk, recovery, batch)) restored.add(batch);
    } catch (error) {
      desk.log.error({ batch, err: error }, 'this batch cannot be recovered now and is left out');
      await forget(desk.board, batch, []);
      restored.add(batch);
    }
  }
  // Redis may have gone back to a time when a batch was in work that has ended since.
  for (const batch of await liveBatches(desk.board)) {
    if (!restored.has(batch)) await clean(desk, batch, []);
  }
  const done = await finishRecovery(desk.board, recovery);
  // An empty Redis beside an empty storage is a first start.
  const level = restored.size === 0 ? 'info' : 'warn';
  desk.log[level]({ batches: restored.size, done }, 'recovered what Redis forgot from storage');
  return true;
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
  if (plan !== null) await restorePages(desk, plan);
  return true;
}

async function restorePages(desk: Desk, plan: BatchPlan): Promise<void> {
  const { id } = plan.manifest;
  for (let from = 0; from < plan.pages.length; from += READ_AT_ONCE) {
    const some = plan.pages.slice(from, from + READ_AT_ONCE).map(async (_, index) => {
      if (await isSealed(desk.board, id, from + index)) return;
      const footer = await storedFooter(desk, id, from + index);
      if (footer !== null) await markSealed(desk.board, id, footer);
    });
    await Promise.all(some);
  }
}
