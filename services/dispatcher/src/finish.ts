import {
  addCounts,
  addSaid,
  shownAudits,
  type Audits,
  batchSpans,
  KEYS,
  NO_COUNTS,
  readCounts,
  RECORD_VERSION,
  RECORDS,
  resultFileId,
  Waits,
  writeCounts,
  writeNotes,
  type EndingRecord,
  type FinalRecord,
  type LineError,
  type Manifest,
  type PageFooter,
  type ProgressNote,
  type Said,
  type Validated,
  type Warning,
} from '@spillway/core';
import { close, dropPages, forget, redisNowMs, type RedisStore } from '@spillway/redis';
import type { Log, Telemetry } from '@spillway/runtime';
import { createRecord, type BatchPlan, type Storage } from '@spillway/storage';

/** How a batch ends. */
export type Ending = Pick<EndingRecord, 'outcome' | 'endedAtMs'> & { readonly errors: readonly LineError[] };

/** Takes note of a batch before its final record is written, so that its webhooks are sent whatever dies afterwards. */
type BeforeFinal = { mark(batch: string): Promise<void> };

export type FinisherOptions = {
  readonly redis: RedisStore;
  readonly storage: Storage;
  readonly webhooks: BeforeFinal;
  readonly telemetry: Telemetry;
  readonly log: Log;
};

/** A batch whose pages all stand; `plan` is null and there are no footers for one whose validation is ruled out. */
export type FinishedBatch = {
  readonly manifest: Manifest;
  readonly plan: BatchPlan | null;
  readonly ending: EndingRecord;
  readonly footers: readonly PageFooter[];
  /** What was told of it while it was in work. */
  readonly warnings: readonly Warning[];
  /** How far it was before. */
  readonly notes: readonly ProgressNote[];
  /** What its audits came to; absent: no cascade of it has one. */
  readonly audits?: Audits | undefined;
};

/** Writes the records that end a batch. Whoever comes second adopts what the first one wrote. */
export class Finisher {
  readonly #options: FinisherOptions;

  constructor(options: FinisherOptions) {
    this.#options = options;
  }

  /** Writes down how a batch ends, or reads how somebody else did. */
  async recordEnding(batch: string, ending: Ending): Promise<EndingRecord> {
    const written: EndingRecord = { v: RECORD_VERSION, ...ending, errors: [...ending.errors] };
    return (await createRecord(this.#options.storage, KEYS.ending(batch), RECORDS.ending, written)).record;
  }

  /**
   * Rules out that a batch is validated, as it has come to its end without. Whether it was is decided by the one record,
   * which is create-only: `validated` says that somebody who was validating it meanwhile was first, and that its
   * documents get their lines. The ending stands before, so that whoever finds it ruled out knows why.
   */
  async #ruleOut(batch: string, { endedAtMs }: EndingRecord): Promise<'ruled_out' | 'validated'> {
    const written: Validated = {
      v: RECORD_VERSION,
      validatedAtMs: endedAtMs,
      total: 0,
      cascades: [],
      pages: [],
      ruledOut: true,
    };
    const { record } = await createRecord(this.#options.storage, KEYS.validated(batch), RECORDS.validated, written);
    return record.ruledOut === true ? 'ruled_out' : 'validated';
  }

  /**
   * Ends a batch that its validation refused. The ending record comes first: whoever finds the batch still validating
   * after a crash closes it as that record says.
   */
  async refuse(manifest: Manifest, errors: readonly LineError[]): Promise<void> {
    const { redis, log } = this.#options;
    const { id } = manifest;
    const ending = await this.recordEnding(id, { outcome: 'failed', endedAtMs: await redisNowMs(redis), errors });
    const closed = await close(redis, id, ending.outcome);
    log.info({ batch: id, errors: errors.length, answer: closed.kind }, 'refused');
    if (closed.kind !== 'CLOSED' && closed.kind !== 'ALREADY') return;
    await this.finishUnvalidated(manifest, ending);
  }

  /** Ends a batch that was not validated; one that was after all is ended like any other, by whoever looks next. */
  async finishUnvalidated(manifest: Manifest, ending: EndingRecord): Promise<void> {
    if ((await this.#ruleOut(manifest.id, ending)) === 'validated') return;
    await this.finish({ manifest, plan: null, ending, footers: [], warnings: [], notes: [] });
  }

  /** Writes the result files' records and the final record, then lets Redis forget the batch. */
  async finish(finished: FinishedBatch): Promise<void> {
    const { redis, storage, webhooks, telemetry, log } = this.#options;
    const { manifest, plan, ending } = finished;
    const { id } = manifest;
    const endedAtMs = Math.max(await redisNowMs(redis), ending.endedAtMs);
    const final = await this.#finalRecord(finished, endedAtMs);
    // Clients do not see a sample.
    const isSeen = manifest.sampleOf === undefined;
    if (isSeen) await webhooks.mark(id);
    const { kind, record } = await createRecord(storage, KEYS.final(id), RECORDS.final, final);
    if (kind === 'created' && isSeen) {
      telemetry.meters.count('cascade.batches.ended', 1, { outcome: record.outcome });
      this.#countUndone(record, plan);
      telemetry.spans?.emit(batchSpans(manifest, record));
    }
    await cleanUp({ redis, storage }, id, plan);
    const { outcome, total, counts } = record;
    const { completed, failed, escalated } = counts;
    const tookMs = record.endedAtMs - manifest.createdAtMs;
    log.info({ batch: id, outcome, total, completed, failed, escalated, tookMs, final: kind }, 'ended');
  }

  /** Audits that were chosen and that nobody will do any more. */
  #countUndone(record: FinalRecord, plan: BatchPlan | null): void {
    const { meters } = this.#options.telemetry;
    const { audits = {} } = record;
    for (const { cascade, not_done: undone } of shownAudits(audits, readCounts(record), plan?.cascades ?? {})) {
      const counted = audits[cascade]?.unanswered ?? 0;
      if (undone > counted) meters.count('cascade.audits', undone - counted, { cascade, outcome: 'not_done' });
    }
  }

  async #finalRecord(
    { manifest, plan, ending, footers, warnings, notes, audits }: FinishedBatch,
    endedAtMs: number,
  ): Promise<FinalRecord> {
    const waits = new Waits();
    for (const footer of footers) waits.merge(Waits.read(footer));
    const bytes = (part: 'outputBytes' | 'errorBytes'): number => footers.reduce((sum, page) => sum + page[part], 0);
    return {
      v: RECORD_VERSION,
      outcome: ending.outcome,
      total: plan?.total ?? 0,
      model: plan?.model ?? null,
      ...writeCounts(footers.reduce((sum, footer) => addCounts(sum, readCounts(footer)), NO_COUNTS)),
      said: footers.reduce<Said>((all, { said = {} }) => addSaid(all, said), {}),
      warnings: [...warnings],
      notes: writeNotes(notes),
      ...waits.write(),
      ...(audits === undefined ? {} : { audits }),
      inProgressAtMs: plan?.validatedAtMs ?? null,
      closedAtMs: ending.endedAtMs,
      endedAtMs,
      errors: ending.errors,
      pages: footers.map((footer): [number, number] => [footer.outputBytes, footer.errorBytes]),
      outputFileId: await this.#writeFile(manifest, 'output', bytes('outputBytes'), endedAtMs),
      errorFileId: await this.#writeFile(manifest, 'error', bytes('errorBytes'), endedAtMs),
    };
  }

  /** Writes the record and the index key of a result file; null where it would be empty. */
  async #writeFile(
    manifest: Manifest,
    part: 'output' | 'error',
    bytes: number,
    createdAtMs: number,
  ): Promise<string | null> {
    if (bytes === 0 || manifest.sampleOf !== undefined) return null;
    const { storage } = this.#options;
    const id = resultFileId(manifest.id, part);
    const expires = manifest.outputExpiresAfterSeconds;
    const { record } = await createRecord(storage, KEYS.fileRecord(id), RECORDS.file, {
      v: RECORD_VERSION,
      id,
      tenant: manifest.tenant,
      filename: `${manifest.id}_${part}.jsonl`,
      purpose: 'batch_output',
      bytes,
      createdAtMs,
      expiresAtMs: expires === null ? null : createdAtMs + expires * 1000,
      source: { kind: 'batch', batch: manifest.id, part },
    });
    await storage.create(KEYS.tenantFile(manifest.tenant, record.createdAtMs, id), Buffer.from('{}'));
    return id;
  }
}

/**
 * Drops what is left of an ended batch: its state and pages in Redis, its open mark. Without a plan it has no pages; those
 * that a lost Redis brought back are dropped by the sweep.
 */
export async function cleanUp(
  { redis, storage }: { readonly redis: RedisStore; readonly storage: Storage },
  batch: string,
  plan: Pick<BatchPlan, 'pages' | 'tiers'> | null,
): Promise<void> {
  await dropPages(redis, batch, plan?.pages.length ?? 0);
  await forget(redis, batch);
  await storage.remove(KEYS.openMark(batch));
}
