import {
  awaitsCalibration,
  KEYS,
  labelsFileOf,
  LIMITS,
  readNewestFirst,
  RECORDS,
  sampleFileId,
  sampleIdOf,
  type FinalRecord,
  type Manifest,
} from '@spillway/core';
import { mapConcurrent, type Log } from '@spillway/runtime';
import { readRecord, walkKeys, type Storage } from '@spillway/storage';

/** Index keys are looked at by this many at a time. */
const MAX_LOOKS = 16;

/** `nowMs` decides what is old. */
export type GarbageOptions = {
  readonly storage: Storage;
  readonly log: Log;
  readonly nowMs: number;
  /** Storage is short of room: what was deleted goes at once, as whoever deleted it wants room. */
  readonly isShort: boolean;
  /** Ends the pass early; the next one goes on. */
  readonly signal: AbortSignal;
};

/** What was taken away. */
export type Collected = { readonly files: number; readonly batches: number };

/**
 * Takes away what nobody can ask for any more: bytes of files that were deleted or have expired an hour ago, or just now
 * where storage is short of room, and that no unexpired manifest names, pages whose two files are gone, batches a month after that, and what was begun and never
 * finished. What leads to a thing goes last, so that a pass that is killed is finished by the next.
 */
export async function collectGarbage(options: GarbageOptions): Promise<Collected> {
  let [files, batches] = [0, 0];
  for await (const marks of walkKeys(options.storage, KEYS.tenantMarks)) {
    for (const mark of marks) {
      const tenant = mark.slice(KEYS.tenantMarks.length);
      if (options.signal.aborted) return { files, batches };
      const pass = new TenantPass(options, tenant);
      batches += await pass.collectBatches();
      files += await pass.collectFiles();
    }
  }
  if (files + batches > 0) options.log.info({ files, batches }, 'collected garbage');
  return { files, batches };
}

/** One tenant's index keys, gone through once: batches first, since they say which inputs are still needed. */
class TenantPass {
  readonly #options: GarbageOptions;
  readonly #tenant: string;
  readonly #needed = new Set<string>();
  /** Not every batch could be read, so nobody knows which inputs they need. */
  #isBlind = false;

  constructor(options: GarbageOptions, tenant: string) {
    this.#options = options;
    this.#tenant = tenant;
  }

  async collectBatches(): Promise<number> {
    return await this.#walk(KEYS.tenantBatches(this.#tenant), async (id, key, createdAtMs) => {
      try {
        return await this.#batch(id, key, createdAtMs);
      } catch (error) {
        this.#isBlind = true;
        throw error;
      }
    });
  }

  async collectFiles(): Promise<number> {
    if (this.#isBlind) return 0;
    return await this.#walk(KEYS.tenantFiles(this.#tenant), (id, key, createdAtMs) => this.#file(id, key, createdAtMs));
  }

  /** Looks at every index key of a folder; how many led to garbage. */
  async #walk(
    folder: string,
    look: (id: string, key: string, createdAtMs: number) => Promise<boolean>,
  ): Promise<number> {
    const { storage, log, signal } = this.#options;
    let taken = 0;
    for await (const keys of walkKeys(storage, folder)) {
      const outcomes = await mapConcurrent(keys, MAX_LOOKS, async (key) => {
        if (signal.aborted) return false;
        const { createdAtMs, id } = readNewestFirst(key.slice(folder.length));
        return await look(id, key, createdAtMs).catch((error: unknown) => {
          log.error({ err: error, key }, 'cannot tell whether this is garbage: it stays');
          return false;
        });
      });
      taken += outcomes.filter(Boolean).length;
      // What was not looked at may need what is left.
      if (signal.aborted) {
        this.#isBlind = true;
        return taken;
      }
    }
    return taken;
  }

  async #batch(id: string, key: string, createdAtMs: number): Promise<boolean> {
    const { storage, nowMs } = this.#options;
    const manifest = await readRecord(storage, KEYS.manifest(id), RECORDS.manifest);
    if (manifest === null) {
      // Begun and never finished, or the rest of one that a killed pass took away. Never the manifest: the same
      // Idempotency-Key may be making this batch now, and writes its mark once more.
      return await this.#unfinished(createdAtMs, () => this.#removeRest(id, key));
    }
    if (key !== KEYS.tenantBatch(this.#tenant, manifest.createdAtMs, id)) {
      return await this.#unfinished(createdAtMs, () => storage.remove(key));
    }
    const final = await readRecord(storage, KEYS.final(id), RECORDS.final);
    if (final === null || manifest.expiresAtMs > nowMs) {
      this.#needed.add(manifest.inputFileId);
      const labels = labelsFileOf(manifest.metadata);
      if (labels !== null) this.#needed.add(labels);
    }
    if (final === null) return false;
    return await this.#endedBatch(manifest, final, key);
  }

  /** Takes the pages of an ended batch when its files are gone, and later the batch itself. */
  async #endedBatch(manifest: Manifest, final: FinalRecord, key: string): Promise<boolean> {
    const { nowMs } = this.#options;
    const files = [final.outputFileId, final.errorFileId].filter((id) => id !== null);
    for (const file of files) if (!(await this.#isGone(file))) return false;
    if (await this.#isNeeded(manifest.id)) return false;
    await this.#removePages(manifest.id, final.pages.length);
    await this.#removeSample(manifest);
    if (nowMs < Math.max(final.endedAtMs, manifest.expiresAtMs) + LIMITS.batchKeptMs) return false;
    await this.#removeBatch(manifest.id, key);
    return true;
  }

  /** The batch by which thresholds were found: nobody reads it once all that it answered is in the batch's own pages. */
  async #removeSample({ id, cascades }: Manifest): Promise<void> {
    const { storage } = this.#options;
    const sample = sampleIdOf(id);
    if (!awaitsCalibration(cascades)) return;
    const file = sampleFileId(sample);
    // Whoever made it may have died before the manifest.
    const parts = [KEYS.manifest(sample), KEYS.fileBytes(file), KEYS.openMark(sample)];
    const sizes = await Promise.all(parts.map((key) => storage.size(key)));
    if (sizes.every((size) => size === null)) return;
    const final = await readRecord(storage, KEYS.final(sample), RECORDS.final);
    await this.#removePages(sample, final?.pages.length ?? 0);
    for (const one of [KEYS.fileBytes(file), KEYS.fileRecord(file)]) await storage.remove(one);
    await this.#removeRest(sample, null);
    // Last: it leads to the others.
    await storage.remove(KEYS.manifest(sample));
  }

  /** Whether a batch that was decided anew from this one has still to read in its pages what is known. */
  async #isNeeded(batch: string): Promise<boolean> {
    const { storage, nowMs } = this.#options;
    const folder = KEYS.redecisions(batch);
    for await (const marks of walkKeys(storage, folder)) {
      for (const mark of marks) {
        const anew = mark.slice(folder.length);
        if ((await storage.size(KEYS.final(anew))) !== null) continue;
        if ((await storage.size(KEYS.manifest(anew))) !== null) return true;
        // It is being made just now, or was given up.
        const { atMs = 0 } = (await readRecord(storage, mark, RECORDS.redecision)) ?? {};
        if (nowMs < atMs + LIMITS.unfinishedAfterMs) return true;
      }
    }
    return false;
  }

  /** From the first on: as long as the last one stands there are pages. */
  async #removePages(batch: string, pages: number): Promise<void> {
    const { storage } = this.#options;
    if (pages === 0 || (await storage.size(KEYS.page(batch, pages - 1))) === null) return;
    await this.#removeIndexes(batch);
    for (let page = 0; page < pages; page += 1) await storage.remove(KEYS.page(batch, page));
  }

  /** The index, and those of validations that others were faster than. */
  async #removeIndexes(batch: string): Promise<void> {
    const { storage } = this.#options;
    for await (const keys of walkKeys(storage, KEYS.indexes(batch))) for (const key of keys) await storage.remove(key);
  }

  async #removeBatch(id: string, key: string): Promise<void> {
    // Nobody misses it. Of a batch that ended while it was validated it did not go with the pages.
    await this.#removeIndexes(id);
    // The manifest first: without it there is no batch, and no half of one is ever shown.
    await this.#options.storage.remove(KEYS.manifest(id));
    await this.#removeRest(id, key);
  }

  /** What there is of a batch without its manifest; the index key that leads to it last. */
  async #removeRest(id: string, key: string | null): Promise<void> {
    const { storage } = this.#options;
    const done: string[] = [];
    const folders = [
      KEYS.hooksDone(id),
      KEYS.riskHooksDone(id),
      KEYS.promiseHooksDone(id),
      KEYS.audits(id),
      KEYS.redecisions(id),
      KEYS.reviews(id),
      KEYS.controls(id),
    ];
    for (const folder of folders) {
      for await (const keys of walkKeys(storage, folder)) done.push(...keys);
    }
    const marks = [KEYS.openMark(id), KEYS.hookMark(id), KEYS.riskMark(id), KEYS.promiseMark(id)];
    const of = [KEYS.validated, KEYS.calibration, KEYS.ending, KEYS.atRisk, KEYS.promiseAtRisk, KEYS.final];
    const records = [...of.map((keyOf) => keyOf(id)), ...marks];
    for (const one of [...done, ...records, ...(key === null ? [] : [key])]) await storage.remove(one);
  }

  async #file(id: string, key: string, createdAtMs: number): Promise<boolean> {
    const { storage } = this.#options;
    const record = await readRecord(storage, KEYS.fileRecord(id), RECORDS.file);
    if (record === null) return await this.#unfinished(createdAtMs, () => this.#removeFile(id, key));
    if (key !== KEYS.tenantFile(this.#tenant, record.createdAtMs, id)) {
      return await this.#unfinished(createdAtMs, () => storage.remove(key));
    }
    if (this.#needed.has(id) || !(await this.#isGone(id))) return false;
    await this.#removeFile(id, key);
    return true;
  }

  async #removeFile(id: string, key: string): Promise<void> {
    for (const one of [KEYS.fileBytes(id), KEYS.fileRecord(id), KEYS.fileTombstone(id), key]) {
      await this.#options.storage.remove(one);
    }
  }

  /** What has an index key and no record was begun and given up, if it is old enough. */
  async #unfinished(createdAtMs: number, remove: () => Promise<void>): Promise<boolean> {
    if (this.#options.nowMs < createdAtMs + LIMITS.unfinishedAfterMs) return false;
    await remove();
    return true;
  }

  /** Whether a file was deleted, or has expired, long enough ago; one whose record is gone was taken before. */
  async #isGone(id: string): Promise<boolean> {
    const { storage, nowMs, isShort } = this.#options;
    const record = await readRecord(storage, KEYS.fileRecord(id), RECORDS.file);
    if (record === null) return true;
    const since = isShort ? nowMs : nowMs - LIMITS.garbageAfterMs;
    if (record.expiresAtMs !== null && record.expiresAtMs <= since) return true;
    const tombstone = await readRecord(storage, KEYS.fileTombstone(id), RECORDS.tombstone);
    return tombstone !== null && tombstone.deletedAtMs <= since;
  }
}
