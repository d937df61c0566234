import {
  addCounts,
  batchSpans,
  isOverCap,
  KEYS,
  MAX_USD_KEY,
  MAX_USD_REACHED,
  NO_COUNTS,
  RECORDS,
  resultFileId,
  Waits,
  type EndingRecord,
  type FinalRecord,
  type LineError,
  type Manifest,
  type Outcome,
  type PageFooter,
} from '@spillway/core';
import { close, dropPage, forget, pagesInHand, redisNowMs } from '@spillway/redis';
import { createRecord } from '@spillway/storage';
import { apart, type BatchPlan, type Desk } from './desk.ts';
import type { LiveBatch } from './live.ts';
import { readFooters, sealUnfinished } from './seal.ts';

/** Pages of an ending batch that are sealed before another batch has its turn. */
const PAGES_A_TURN = 16;
/** How a batch ends. */
type Ending = Pick<EndingRecord, 'outcome' | 'endedAtMs'> & { readonly errors: readonly LineError[] };

/** Why a batch ended that has cost what it may. */
const CAP_REACHED: LineError = {
  code: MAX_USD_REACHED,
  message: `The batch ended early: it had cost what '${MAX_USD_KEY}' allows.`,
  param: `metadata.${MAX_USD_KEY}`,
  line: null,
};

/** Ends batches: all settled, expired, or closed by somebody. True when something was done. */
export class Ender {
  readonly #desk: Desk;
  /** Pages of an ending batch known to stand in storage. */
  readonly #sealed = new Map<string, number>();

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  async turn(live: readonly LiveBatch[]): Promise<boolean> {
    const now = live.length === 0 ? 0 : await redisNowMs(this.#desk.board);
    let busy = false;
    for (const batch of live) {
      const done = await apart(this.#desk, batch.id, 'end', () => this.#step(batch, now));
      busy ||= done === true;
    }
    return busy;
  }

  async #step(batch: LiveBatch, now: number): Promise<boolean> {
    if (batch.phase === 'closed') return await this.#finish(batch);
    const settled = batch.counts.completed + batch.counts.failed;
    if (batch.phase === 'open' && settled === batch.total) return await this.#close(batch, 'completed');
    const over = now >= batch.expiresAtMs || (await this.#isOverCap(batch));
    return over && (await this.#close(batch, 'expired'));
  }

  /** Whether a batch has cost what it may. */
  async #isOverCap(batch: LiveBatch): Promise<boolean> {
    const manifest = batch.phase === 'validating' ? null : await this.#desk.records.manifest(batch.id);
    return manifest !== null && isOverCap(manifest.metadata, batch.counts);
  }

  async #close(batch: LiveBatch, outcome: Outcome): Promise<boolean> {
    const closed = await close(this.#desk.board, batch.id, outcome);
    return closed.kind === 'CLOSED';
  }

  /** Takes a closed batch one step on; true when there is more to do at once. */
  async #finish(batch: LiveBatch): Promise<boolean> {
    const desk = this.#desk;
    const plan = await desk.records.plan(batch.id);
    const ending = await this.#endingOf(batch);
    if (plan === null) {
      const manifest = await desk.records.manifest(batch.id);
      if (manifest === null) throw new Error(`${batch.id} has no manifest`);
      await writeEnd(desk, manifest, null, await recordEnding(desk, batch.id, ending), []);
      return true;
    }
    if (ending.outcome === 'completed') {
      // Its last pages are on their way; the ending is only written down once nothing can be missing.
      if (batch.sealedPages < plan.pages.length) return false;
    } else if (!(await this.#sealRest(batch, plan, await recordEnding(desk, batch.id, ending)))) return true;
    const footers = (await readFooters(desk, plan)).map((footer) => {
      if (footer === null) throw new Error(`${batch.id} ends with a page missing from storage`);
      return footer;
    });
    await writeEnd(desk, plan.manifest, plan, await recordEnding(desk, batch.id, ending), footers);
    this.#sealed.delete(batch.id);
    return true;
  }

  /** How a closed batch ends, if nobody wrote that down before. */
  async #endingOf(batch: LiveBatch): Promise<Ending> {
    const outcome = batch.outcome ?? 'cancelled';
    const endedAtMs = batch.closedAtMs ?? (await redisNowMs(this.#desk.board));
    const isCapped = outcome === 'expired' && endedAtMs < batch.expiresAtMs && (await this.#isOverCap(batch));
    return { outcome, endedAtMs, errors: isCapped ? [CAP_REACHED] : [] };
  }

  /** Seals some more pages of a batch that ends early; true when all are. */
  async #sealRest(batch: LiveBatch, plan: BatchPlan, ending: EndingRecord): Promise<boolean> {
    const from = this.#sealed.get(batch.id) ?? 0;
    const to = Math.min(from + PAGES_A_TURN, plan.pages.length);
    for (let page = from; page < to; page += 1) await sealUnfinished(this.#desk, plan, page, ending);
    this.#sealed.set(batch.id, to);
    return to === plan.pages.length;
  }
}

/**
 * Ends a batch that its validation refused. The ending record comes first: whoever finds the batch still validating
 * after a crash validates it again and adopts that record.
 */
export async function refuse(desk: Desk, manifest: Manifest, errors: readonly LineError[]): Promise<void> {
  const { id } = manifest;
  const endedAtMs = await redisNowMs(desk.board);
  const ending = await recordEnding(desk, id, { outcome: 'failed', endedAtMs, errors });
  const closed = await close(desk.board, id, ending.outcome);
  desk.log.info({ batch: id, errors: errors.length, answer: closed.kind }, 'refused');
  if (closed.kind === 'CLOSED' || closed.kind === 'ALREADY') await writeEnd(desk, manifest, null, ending, []);
}

async function recordEnding(desk: Desk, batch: string, ending: Ending): Promise<EndingRecord> {
  const value = { v: 1 as const, ...ending, errors: [...ending.errors] };
  return (await createRecord(desk.storage, KEYS.ending(batch), RECORDS.ending, value)).record;
}

/** Writes the files' records and the final one, then lets Redis forget the batch. Whoever comes second adopts. */
async function writeEnd(
  desk: Desk,
  manifest: Manifest,
  plan: BatchPlan | null,
  ending: EndingRecord,
  footers: readonly PageFooter[],
): Promise<void> {
  const { id } = manifest;
  const endedAtMs = Math.max(await redisNowMs(desk.board), ending.endedAtMs);
  const sums = footers.reduce((sum, footer) => addCounts(sum, footer.counts), NO_COUNTS);
  const waits = new Waits();
  for (const footer of footers) waits.merge(Waits.read(footer.waits));
  const bytes = (part: 'outputBytes' | 'errorBytes'): number => footers.reduce((sum, footer) => sum + footer[part], 0);
  const outputFileId = await writeFile(desk, manifest, 'output', bytes('outputBytes'), endedAtMs);
  const errorFileId = await writeFile(desk, manifest, 'error', bytes('errorBytes'), endedAtMs);
  const final: FinalRecord = {
    v: 1,
    outcome: ending.outcome,
    total: plan?.total ?? 0,
    model: plan?.model ?? null,
    counts: sums,
    waits: waits.write(),
    inProgressAtMs: plan?.validatedAtMs ?? null,
    closedAtMs: ending.endedAtMs,
    endedAtMs,
    errors: ending.errors,
    pages: footers.map((footer): [number, number] => [footer.outputBytes, footer.errorBytes]),
    outputFileId,
    errorFileId,
  };
  await desk.hooks.mark(id);
  const { kind, record } = await createRecord(desk.storage, KEYS.final(id), RECORDS.final, final);
  if (kind === 'created') {
    desk.telemetry.meters.count('cascade.batches.ended', 1, { outcome: record.outcome });
    desk.telemetry.spans?.emit(batchSpans(manifest, record));
  }
  await clean(desk, id, plan?.tiers ?? []);
  const { completed, failed } = record.counts;
  desk.log.info({ batch: id, outcome: record.outcome, total: record.total, completed, failed, final: kind }, 'ended');
}

async function writeFile(
  desk: Desk,
  manifest: Manifest,
  part: 'output' | 'error',
  bytes: number,
  createdAtMs: number,
): Promise<string | null> {
  if (bytes === 0) return null;
  const id = resultFileId(manifest.id, part);
  const expires = manifest.outputExpiresAfterSeconds;
  const value = {
    v: 1 as const,
    id,
    tenant: manifest.tenant,
    filename: `${manifest.id}_${part}.jsonl`,
    purpose: 'batch_output' as const,
    bytes,
    createdAtMs,
    expiresAtMs: expires === null ? null : createdAtMs + expires * 1000,
    source: { kind: 'batch' as const, batch: manifest.id, part },
  };
  const { record } = await createRecord(desk.storage, KEYS.fileRecord(id), RECORDS.file, value);
  await desk.storage.create(KEYS.tenantFile(manifest.tenant, record.createdAtMs, id), Buffer.from('{}'));
  return id;
}

/** Drops what is left of an ended batch: its state and pages in Redis, its open mark. */
export async function clean(desk: Desk, batch: string, tiers: readonly string[]): Promise<void> {
  for (const held of await pagesInHand(desk.board)) {
    if (held.batch === batch) await dropPage(desk.board, batch, held.page);
  }
  await forget(desk.board, batch, tiers);
  await desk.storage.remove(KEYS.openMark(batch));
}
