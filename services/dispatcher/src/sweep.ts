import { KEYS, RECORDS } from '@spillway/core';
import {
  admit,
  beginPage,
  distrust,
  dropPage,
  lostDocuments,
  pagesInHand,
  readBatch,
  sealedPages,
} from '@spillway/redis';
import { readRecord } from '@spillway/storage';
import { apart, pageAt, pageCost, type Desk } from './desk.ts';
import { clean } from './end.ts';
import { addDocuments } from './feed.ts';
import { readDocuments } from './input.ts';
import type { LiveBatch } from './live.ts';
import { openMarks } from './recover.ts';
import { readFooters } from './seal.ts';

/** Feeds again every fed document that has neither a result nor a job, and drops pages that belong to no batch. */
export async function sweepPages(desk: Desk, live: readonly LiveBatch[], signal: AbortSignal): Promise<void> {
  const held = await pagesInHand(desk.board);
  const byId = new Map(live.map((batch) => [batch.id, batch]));
  for (const { batch, page } of held) {
    const state = byId.get(batch);
    // The reading of the batches is older than that of the pages: a new batch's page is not litter.
    if (state === undefined) {
      if ((await desk.storage.size(KEYS.final(batch))) !== null) await dropPage(desk.board, batch, page);
    } else if (state.phase === 'open') await apart(desk, batch, 'sweep', () => sweepPage(desk, state, page));
    if (signal.aborted) return;
  }
  const holds = Map.groupBy(held, ({ batch }) => batch);
  for (const batch of live) {
    const own = new Set((holds.get(batch.id) ?? []).map(({ page }) => page));
    if (batch.phase === 'open') await apart(desk, batch.id, 'sweep', () => sweepGone(desk, batch, own));
    if (signal.aborted) return;
  }
}

/** Feeds again the fed pages of a batch that are neither in storage nor in hand. `held` was read before. */
async function sweepGone(desk: Desk, batch: LiveBatch, held: ReadonlySet<number>): Promise<void> {
  const plan = await desk.records.plan(batch.id);
  if (plan === null) return;
  const fed = batch.fed >= batch.total ? plan.pages.length : (pageAt(plan, batch.fed) ?? 0);
  if (batch.sealedPages + held.size >= fed) return;
  const sealed = new Set(await sealedPages(desk.board, batch.id, fed));
  for (let page = 0; page < fed; page += 1) {
    if (!sealed.has(page) && !held.has(page)) await sweepPage(desk, batch, page);
  }
}

async function sweepPage(desk: Desk, batch: LiveBatch, page: number): Promise<void> {
  const plan = await desk.records.plan(batch.id);
  const at = plan?.pages[page];
  if (plan === null || at === undefined || at.first + at.documents > batch.fed) return;
  const where = { first: at.first, fedDocuments: at.documents, queues: plan.tiers };
  const lost = await lostDocuments(desk.board, batch.id, page, where);
  if (lost.length === 0) return;
  if ((await beginPage(desk.board, batch.id, page, at, pageCost(at))) !== 'BEGUN') return;
  await addDocuments(desk, plan, page, await readDocuments(desk, plan, at), lost);
  desk.log.warn({ batch: batch.id, page, documents: lost.length }, 'fed again what had lost its job');
}

/** Admits batches that Redis was never told of, and removes the marks of those that ended. */
export async function sweepMarks(desk: Desk, live: readonly LiveBatch[], signal: AbortSignal): Promise<void> {
  const known = new Set(live.map((batch) => batch.id));
  for await (const id of openMarks(desk)) {
    if (signal.aborted) return;
    if (!known.has(id)) await apart(desk, id, 'sweep', () => sweepMark(desk, id));
  }
}

async function sweepMark(desk: Desk, id: string): Promise<void> {
  const manifest = await desk.records.manifest(id);
  if (manifest === null) return;
  if (await isUnderWay(desk, id)) return await distrust(desk.board);
  if ((await desk.storage.size(KEYS.final(id))) !== null) return await clean(desk, id, []);
  const { tenant, createdAtMs, expiresAtMs } = manifest;
  const answer = await admit(desk.board, id, { tenant, createdAtMs, expiresAtMs });
  if (answer === 'ADMITTED') desk.log.warn({ batch: id }, 'took in a batch that Redis had not been told of');
}

/** Whether a batch that Redis does not know was validated or closed, and not ended: only a recovery takes it in whole. */
async function isUnderWay(desk: Desk, id: string): Promise<boolean> {
  const plan = await desk.records.plan(id);
  const ending = await readRecord(desk.storage, KEYS.ending(id), RECORDS.ending);
  if (plan === null && ending === null) return false;
  if ((await readBatch(desk.board, id)) !== null) return false;
  // Read last: Redis forgets a batch once its final record stands.
  if ((await desk.storage.size(KEYS.final(id))) !== null) return false;
  // A recovery is everybody's: it is worth it only if it can read what this batch has.
  if (plan !== null) await readFooters(desk, plan);
  desk.log.warn({ batch: id }, 'Redis lost a batch in work: recovering again');
  return true;
}
