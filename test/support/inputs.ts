import { KEYS, RECORD_VERSION, RECORDS, type Manifest } from '@spillway/core';
import { createRecord, type Storage } from '@spillway/storage';
import { rulesOf } from './jobs.ts';

/** The manifest of a batch whose cascade is `test`, and its input: the records that a validation begins with. */
export async function storeInput(
  storage: Storage,
  id: string,
  input: Buffer,
  metadata: Manifest['metadata'] = null,
): Promise<Manifest> {
  const inputFileId = id.replace('batch_', 'file-');
  await storage.create(KEYS.fileBytes(inputFileId), input);
  const { record } = await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, {
    v: RECORD_VERSION,
    id,
    tenant: 'default',
    inputFileId,
    endpoint: '/v1/chat/completions',
    completionWindow: '24h',
    metadata,
    outputExpiresAfterSeconds: null,
    createdAtMs: 0,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    requestDigest: '',
    cascades: { test: rulesOf() },
  });
  return record;
}
