import {
  KEYS,
  RECORDS,
  awaitsCalibration,
  drawnDocuments,
  type AuditsWritten,
  type CalibrationRecord,
  type EndingRecord,
  type FileRecord,
  type FinalRecord,
  type Manifest,
  type Validated,
  steeringOf,
  type Steering,
} from '@spillway/core';
import type { z } from 'zod';
import { readControl } from './controls.ts';
import { Lru } from './lru.ts';
import { planOf, type BatchPlan } from './plan.ts';
import { readRecord } from './record.ts';
import type { Storage } from './storage.ts';

type Tombstone = z.output<typeof RECORDS.tombstone>;

/**
 * Bytes that each kind of record may take in memory. The `validated` record of a batch of a million documents, the
 * largest that there is, takes half a megabyte.
 */
const MAX_CACHE_BYTES = 32 * 1024 * 1024;

/** What an object takes with its keys, beside what it holds. */
const OBJECT_BYTES = 1024;
/** What a page takes in a plan, and in a final record. */
const PAGE_BYTES = 128;
const NUMBER_BYTES = 8;

/**
 * Reads the create-only records of files and batches, and keeps those that were used last: what was written once never
 * changes. What is not there yet is asked for each time, as somebody may write it at any moment.
 */
export class Records {
  readonly #storage: Storage;
  readonly #manifests = new Lru<Manifest>(
    MAX_CACHE_BYTES,
    (manifest) => OBJECT_BYTES + 2 * JSON.stringify(manifest).length,
  );
  readonly #validated = new Lru<Validated>(MAX_CACHE_BYTES, (validated) => OBJECT_BYTES + validatedBytes(validated));
  readonly #calibrations = new Lru<CalibrationRecord>(
    MAX_CACHE_BYTES,
    (record) => OBJECT_BYTES + 2 * JSON.stringify(record).length,
  );
  readonly #endings = new Lru<EndingRecord>(MAX_CACHE_BYTES, ({ errors }) => OBJECT_BYTES * (1 + errors.length));
  readonly #finals = new Lru<FinalRecord>(MAX_CACHE_BYTES, (final) => OBJECT_BYTES + finalBytes(final));
  readonly #files = new Lru<FileRecord>(MAX_CACHE_BYTES, () => OBJECT_BYTES);
  readonly #tombstones = new Lru<Tombstone>(MAX_CACHE_BYTES, () => OBJECT_BYTES);

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** What was asked; null: there is no such batch. */
  manifest(batch: string): Promise<Manifest | null> {
    return kept(this.#manifests, batch, () => readRecord(this.#storage, KEYS.manifest(batch), RECORDS.manifest));
  }

  /** Where the documents lie; null while the batch is not validated, or when it ended without being so. */
  async validated(batch: string): Promise<Validated | null> {
    const read = () => readRecord(this.#storage, KEYS.validated(batch), RECORDS.validated);
    const record = await kept(this.#validated, batch, read);
    return record?.ruledOut === true ? null : record;
  }

  /** The thresholds that were found for a batch; null while there are none, as for one whose thresholds are fixed. */
  async calibration(batch: string): Promise<CalibrationRecord | null> {
    const manifest = await this.manifest(batch);
    if (manifest === null || !awaitsCalibration(manifest.cascades)) return null;
    const read = () => readRecord(this.#storage, KEYS.calibration(batch), RECORDS.calibration);
    return await kept(this.#calibrations, batch, read);
  }

  /** What the records say of a batch together; null while it is not validated. */
  async plan(batch: string): Promise<BatchPlan | null> {
    const manifest = await this.manifest(batch);
    const validated = await this.validated(batch);
    return manifest === null || validated === null ? null : planOf(manifest, validated, await this.calibration(batch));
  }

  /** How the batch came to its end; null while nothing closed it. */
  ending(batch: string): Promise<EndingRecord | null> {
    return kept(this.#endings, batch, () => readRecord(this.#storage, KEYS.ending(batch), RECORDS.ending));
  }

  /** What came of the batch; null while it has not ended. */
  final(batch: string): Promise<FinalRecord | null> {
    return kept(this.#finals, batch, () => readRecord(this.#storage, KEYS.final(batch), RECORDS.final));
  }

  /** What somebody wants of the batch, as Redis heeds it; null: nobody said. */
  async steering(batch: string): Promise<Steering | null> {
    const control = await readControl(this.#storage, batch);
    return control === null ? null : steeringOf(control.number, control.record);
  }

  /** Whether the final record stands. It is not read, so that a damaged one counts too. */
  async hasEnded(batch: string): Promise<boolean> {
    return (await this.#storage.size(KEYS.final(batch))) !== null;
  }

  /** What is written down of a batch's audits, in order. Read each time: there may be one more at any moment. */
  async audits(batch: string): Promise<AuditsWritten[]> {
    const found: AuditsWritten[] = [];
    for (;;) {
      const record = await readRecord(this.#storage, KEYS.audit(batch, found.length), RECORDS.audit);
      if (record === null) return found;
      found.push(record);
    }
  }

  /** A file's record, whether or not the file was deleted. */
  file(id: string): Promise<FileRecord | null> {
    return kept(this.#files, id, () => readRecord(this.#storage, KEYS.fileRecord(id), RECORDS.file));
  }

  /** Says that a file was deleted, and when; null: it was not. */
  tombstone(id: string): Promise<Tombstone | null> {
    return kept(this.#tombstones, id, () => readRecord(this.#storage, KEYS.fileTombstone(id), RECORDS.tombstone));
  }

  /** A file that is neither deleted nor expired. */
  async standingFile(id: string, nowMs: number): Promise<FileRecord | null> {
    const record = await this.file(id);
    if (record === null || (record.expiresAtMs !== null && record.expiresAtMs <= nowMs)) return null;
    return (await this.tombstone(id)) === null ? record : null;
  }
}

async function kept<Value>(cache: Lru<Value>, id: string, read: () => Promise<Value | null>): Promise<Value | null> {
  const known = cache.get(id);
  if (known !== undefined) return known;
  const value = await read();
  if (value !== null) cache.set(id, value);
  return value;
}

const validatedBytes = ({ pages, badLines, copies, draws }: Validated): number =>
  PAGE_BYTES * pages.length +
  (badLines?.bits.length ?? 0) +
  NUMBER_BYTES * ((copies?.before.length ?? 0) + (draws === undefined ? 0 : drawnDocuments(draws).length));

/** The sketches of waits are lists of numbers, and are written with about as many characters as they take bytes. */
const finalBytes = ({ pages, waits, errors }: FinalRecord): number =>
  PAGE_BYTES * pages.length + OBJECT_BYTES * errors.length + 4 * JSON.stringify(waits).length;
