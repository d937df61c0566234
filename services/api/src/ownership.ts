import { isBatchId, isFileId, type FileRecord, type Manifest } from '@spillway/core';
import type { Records } from '@spillway/storage';
import { noSuchBatch, noSuchFile } from './errors.ts';

/** A tenant's own batch; another's is answered like one that never was. */
export async function ownBatch(records: Records, tenant: string, id: string): Promise<Manifest> {
  const manifest = isBatchId(id) ? await records.manifest(id) : null;
  // A sample is no batch that a client made.
  if (manifest === null || manifest.tenant !== tenant || manifest.sampleOf !== undefined) throw noSuchBatch(id);
  return manifest;
}

/** A tenant's own file that is neither deleted nor expired; another's is answered like one that never was. */
export async function ownFile(records: Records, tenant: string, id: string): Promise<FileRecord> {
  const record = isFileId(id) ? await records.standingFile(id, Date.now()) : null;
  // A sample's is no file that a client made.
  if (record === null || record.tenant !== tenant || record.sampleOf !== undefined) throw noSuchFile(id);
  return record;
}
