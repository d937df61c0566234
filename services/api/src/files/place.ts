import { fileObject, KEYS, LIMITS, RECORDS, type FileObject } from '@spillway/core';
import { createRecord } from '@spillway/storage';
import type { Api } from '../api.ts';

const EMPTY = Buffer.from('{}');

/** An input whose bytes are stored. */
export type StoredInput = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly bytes: number;
  readonly expiresAfterSeconds: number | null;
};

/** Makes stored bytes a file. The record is written last: until then there is none. */
export async function placeFile(api: Api, input: StoredInput): Promise<FileObject> {
  const { id, tenant, name, bytes, expiresAfterSeconds } = input;
  const createdAtMs = Date.now();
  await api.storage.create(KEYS.tenantFile(tenant, createdAtMs, id), EMPTY);
  const { record } = await createRecord(api.storage, KEYS.fileRecord(id), RECORDS.file, {
    v: 1,
    id,
    tenant,
    filename: name,
    purpose: 'batch',
    bytes,
    createdAtMs,
    expiresAtMs: createdAtMs + (expiresAfterSeconds ?? LIMITS.fileExpiryMaxSeconds) * 1000,
    source: { kind: 'upload' },
  });
  return fileObject(record);
}
