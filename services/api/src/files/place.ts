import { fileObject, KEYS, LIMITS, RECORD_VERSION, RECORDS, type FileObject } from '@spillway/core';
import { createRecord, type Storage } from '@spillway/storage';
import type { Tenants } from '../tenants.ts';

const EMPTY = Buffer.from('{}');

/** A file that is being made; its index key stands already, so that garbage collection finds what was never finished. */
export type UnfinishedFile = { readonly id: string; readonly tenant: string; readonly createdAtMs: number };

export async function beginFile(
  { storage, tenants }: { readonly storage: Storage; readonly tenants: Tenants },
  tenant: string,
  id: string,
): Promise<UnfinishedFile> {
  const createdAtMs = Date.now();
  await tenants.note(tenant);
  await storage.create(KEYS.tenantFile(tenant, createdAtMs, id), EMPTY);
  return { id, tenant, createdAtMs };
}

/** Removes the index key of a file that is not to be; its bytes are the caller's to remove. */
export async function abandonFile(storage: Storage, { tenant, createdAtMs, id }: UnfinishedFile): Promise<void> {
  await storage.remove(KEYS.tenantFile(tenant, createdAtMs, id));
}

/** Makes stored bytes a file. The record is written last: until then there is none. */
export async function placeFile(
  storage: Storage,
  unfinished: UnfinishedFile,
  about: {
    readonly name: string;
    readonly bytes: number;
    readonly lines: number;
    readonly expiresAfterSeconds: number | null;
  },
): Promise<FileObject> {
  const { name, bytes, lines, expiresAfterSeconds } = about;
  const { record } = await createRecord(storage, KEYS.fileRecord(unfinished.id), RECORDS.file, {
    v: RECORD_VERSION,
    ...unfinished,
    filename: name,
    purpose: 'batch',
    bytes,
    lines,
    expiresAtMs: unfinished.createdAtMs + (expiresAfterSeconds ?? LIMITS.fileExpiryMaxSeconds) * 1000,
    source: { kind: 'upload' },
  });
  return fileObject(record);
}
