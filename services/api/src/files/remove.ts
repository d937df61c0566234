import { KEYS, RECORD_VERSION, RECORDS } from '@spillway/core';
import { createRecord, type Records, type Storage } from '@spillway/storage';
import { ownFile } from '../ownership.ts';

/** Deletes a file: its tombstone hides it at once, its bytes go when no batch names them any more. */
export async function removeFile(
  { storage, records }: { readonly storage: Storage; readonly records: Records },
  tenant: string,
  id: string,
) {
  await ownFile(records, tenant, id);
  const tombstone = { v: RECORD_VERSION, deletedAtMs: Date.now() } as const;
  await createRecord(storage, KEYS.fileTombstone(id), RECORDS.tombstone, tombstone);
  return { id, object: 'file' as const, deleted: true as const };
}
