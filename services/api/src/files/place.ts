import { fileObject, KEYS, LIMITS, RECORDS, type FileObject } from '@spillway/core';
import { createRecord } from '@spillway/storage';
import type { Api } from '../api.ts';

const EMPTY = Buffer.from('{}');

/** A file that is being made; its index key stands already, so that garbage collection finds what never got ready. */
export type BegunFile = { readonly id: string; readonly tenant: string; readonly createdAtMs: number };

export async function beginFile(api: Api, tenant: string, id: string): Promise<BegunFile> {
  const createdAtMs = Date.now();
  await api.tenants.note(tenant);
  await api.storage.create(KEYS.tenantFile(tenant, createdAtMs, id), EMPTY);
  return { id, tenant, createdAtMs };
}

/** Takes back a file that is not to be; its bytes are the caller's. */
export async function abandonFile(api: Api, { tenant, createdAtMs, id }: BegunFile): Promise<void> {
  await api.storage.remove(KEYS.tenantFile(tenant, createdAtMs, id));
}

/** Makes stored bytes a file. The record is written last: until then there is none. */
export async function placeFile(
  api: Api,
  begun: BegunFile,
  about: { readonly name: string; readonly bytes: number; readonly expiresAfterSeconds: number | null },
): Promise<FileObject> {
  const { name, bytes, expiresAfterSeconds } = about;
  const { record } = await createRecord(api.storage, KEYS.fileRecord(begun.id), RECORDS.file, {
    v: 1,
    ...begun,
    filename: name,
    purpose: 'batch',
    bytes,
    expiresAtMs: begun.createdAtMs + (expiresAfterSeconds ?? LIMITS.fileExpiryMaxSeconds) * 1000,
    source: { kind: 'upload' },
  });
  return fileObject(record);
}
