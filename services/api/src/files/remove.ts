import { KEYS, RECORDS } from '@spillway/core';
import { createRecord } from '@spillway/storage';
import type { Api } from '../api.ts';

/** Deletes a file: its tombstone hides it at once, its bytes go when no batch names them any more. */
export async function removeFile(api: Api, tenant: string, id: string) {
  await api.records.ownFile(tenant, id);
  await createRecord(api.storage, KEYS.fileTombstone(id), RECORDS.tombstone, { v: 1, deletedAtMs: Date.now() });
  return { id, object: 'file' as const, deleted: true as const };
}
