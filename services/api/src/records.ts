import {
  isBatchId,
  isFileId,
  KEYS,
  Lru,
  RECORDS,
  type EndingRecord,
  type FileRecord,
  type FinalRecord,
  type Manifest,
  type Validated,
} from '@spillway/core';
import { readRecord, type Storage } from '@spillway/storage';
import { noSuchBatch, noSuchFile } from './errors.ts';

/** Bytes that each kind of record may take in memory; a batch that is polled is read from storage once. */
const CACHE_BYTES = 16 * 1024 * 1024;

/** An object with its keys takes about this much before what it holds. */
const OBJECT_BYTES = 1024;

/** Reads records. Those that never change once written are kept. */
export class Records {
  readonly #storage: Storage;
  readonly #manifests = new Lru<Manifest>(CACHE_BYTES, (manifest) => OBJECT_BYTES + textBytes(manifest.metadata));
  readonly #finals = new Lru<FinalRecord>(CACHE_BYTES, (final) => OBJECT_BYTES + 64 * final.pages.length);
  readonly #files = new Lru<FileRecord>(CACHE_BYTES, () => OBJECT_BYTES);
  readonly #cascades = new Lru<readonly string[]>(CACHE_BYTES, (names) => OBJECT_BYTES + 2 * names.join().length);
  readonly #deleted = new Lru<true>(CACHE_BYTES, () => 128);

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** A batch's manifest, whoever's it is. */
  manifest(id: string): Promise<Manifest | null> {
    return kept(this.#manifests, id, () => readRecord(this.#storage, KEYS.manifest(id), RECORDS.manifest));
  }

  final(batch: string): Promise<FinalRecord | null> {
    return kept(this.#finals, batch, () => readRecord(this.#storage, KEYS.final(batch), RECORDS.final));
  }

  validated(batch: string): Promise<Validated | null> {
    return readRecord(this.#storage, KEYS.validated(batch), RECORDS.validated);
  }

  /** The names of the cascades that a validated batch's documents name. */
  async cascadesOf(batch: string): Promise<readonly string[]> {
    const names = await kept(this.#cascades, batch, async () => (await this.validated(batch))?.cascades ?? null);
    return names ?? [];
  }

  ending(batch: string): Promise<EndingRecord | null> {
    return readRecord(this.#storage, KEYS.ending(batch), RECORDS.ending);
  }

  /** A file's record, whoever's it is and whether or not it was deleted. */
  file(id: string): Promise<FileRecord | null> {
    return kept(this.#files, id, () => readRecord(this.#storage, KEYS.fileRecord(id), RECORDS.file));
  }

  /** A file that is neither deleted nor expired. */
  async standingFile(id: string): Promise<FileRecord | null> {
    const record = await this.file(id);
    if (record === null || (record.expiresAtMs !== null && record.expiresAtMs <= Date.now())) return null;
    const deleted = await kept(this.#deleted, id, async () => {
      const tombstone = await this.#storage.size(KEYS.fileTombstone(id));
      return tombstone === null ? null : true;
    });
    return deleted === null ? record : null;
  }

  /** A tenant's own batch; another's is answered like one that never was. */
  async ownBatch(tenant: string, id: string): Promise<Manifest> {
    const manifest = isBatchId(id) ? await this.manifest(id) : null;
    if (manifest === null || manifest.tenant !== tenant) throw noSuchBatch(id);
    return manifest;
  }

  /** A tenant's own standing file; another's is answered like one that never was. */
  async ownFile(tenant: string, id: string): Promise<FileRecord> {
    const record = isFileId(id) ? await this.standingFile(id) : null;
    if (record === null || record.tenant !== tenant) throw noSuchFile(id);
    return record;
  }
}

async function kept<Value>(cache: Lru<Value>, id: string, read: () => Promise<Value | null>): Promise<Value | null> {
  const known = cache.get(id);
  if (known !== undefined) return known;
  const value = await read();
  if (value !== null) cache.set(id, value);
  return value;
}

function textBytes(texts: Readonly<Record<string, string>> | null): number {
  return Object.entries(texts ?? {}).reduce((sum, [key, value]) => sum + 2 * (key.length + value.length), 0);
}
