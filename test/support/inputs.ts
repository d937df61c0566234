import { KEYS, RECORDS, type Manifest } from '@spillway/core';
import { createRecord, type Storage } from '@spillway/storage';
import { rulesOf } from './jobs.ts';
import { manifestOf } from './records.ts';

/** The manifest of a batch whose cascade is `test`, and its input: the records that a validation begins with. */
export async function storeInput(
  storage: Storage,
  id: string,
  input: Buffer,
  metadata: Manifest['metadata'] = null,
): Promise<Manifest> {
  const inputFileId = id.replace('batch_', 'file-');
  await storage.create(KEYS.fileBytes(inputFileId), input);
  const manifest = manifestOf(id, {
    tenant: 'default',
    inputFileId,
    metadata,
    createdAtMs: 0,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    cascades: { test: rulesOf() },
  });
  const { record } = await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifest);
  return record;
}
