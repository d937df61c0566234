import { KEYS, RECORD_VERSION, RECORDS } from '@spillway/core';
import { createRecord, StorageError, type Records, type Storage } from '@spillway/storage';
import { ownFile } from '../ownership.ts';

/** Deletes a file: its tombstone hides it at once, its bytes go when no batch names them any more. */
export async function removeFile(
  { storage, records }: { readonly storage: Storage; readonly records: Records },
  tenant: string,
  id: string,
) {
  await ownFile(records, tenant, id);
  const tombstone = { v: RECORD_VERSION, deletedAtMs: Date.now() } as const;
  try {
    await createRecord(storage, KEYS.fileTombstone(id), RECORDS.tombstone, tombstone);
  } catch (error) {
    // Deleting is what makes room: it cannot wait for it.
    const isFull = error instanceof StorageError && error.code === 'full';
    if (!isFull || (await storage.createLike(KEYS.fileTombstone(id), KEYS.spareTombstone)) === false) throw error;
  }
  return { id, object: 'file' as const, deleted: true as const };
}

/** Makes the tombstone that files get on a full disk. It says that they were deleted long ago. */
export async function placeSpareTombstone(storage: Storage): Promise<void> {
  try {
    await createRecord(storage, KEYS.spareTombstone, RECORDS.tombstone, { v: RECORD_VERSION, deletedAtMs: 0 });
  } catch (error) {
    // It stands since there was room.
    if (!(error instanceof StorageError && error.code === 'full')) throw error;
  }
}
