import { KEYS, RECORD_VERSION, RECORDS } from '@spillway/core';
import { SetupError } from '@spillway/runtime';
import { createRecord, readRecord } from './record.ts';
import { StorageError } from './storage-error.ts';
import type { Storage } from './storage.ts';

/** Folders of which one is not empty wherever a Spillway has kept anything. `default` is the tenant of a service without keys. */
const MARK_FOLDERS = [
  KEYS.tenantMarks,
  KEYS.openMarks,
  KEYS.hookMarks,
  KEYS.tenantBatches('default'),
  KEYS.tenantFiles('default'),
];

/**
 * Refuses a storage that another version of Spillway wrote, and writes down the version in an empty one. Services that
 * start at once all succeed: the first one's record is adopted by the others.
 */
export async function checkFormat(storage: Storage, place: string): Promise<void> {
  const found = await readFormat(storage, place);
  if (found === RECORD_VERSION) return;
  if (found !== null) throw otherVersion(place, found);
  // Whoever writes a mark has written the format before it, so a mark seen now says that the format is there by now too.
  if ((await hasMarks(storage)) && (await readFormat(storage, place)) === null) throw otherVersion(place, null);
  const { record } = await createRecord(storage, KEYS.format, RECORDS.format, { v: RECORD_VERSION });
  if (record.v !== RECORD_VERSION) throw otherVersion(place, record.v);
}

/** The version that a storage was written by; null: it does not say. */
async function readFormat(storage: Storage, place: string): Promise<number | null> {
  try {
    return (await readRecord(storage, KEYS.format, RECORDS.format))?.v ?? null;
  } catch (error) {
    if (error instanceof StorageError) throw error;
    throw new SetupError(`${KEYS.format} in ${place} cannot be read: put it back from a backup of the storage`, {
      cause: error,
    });
  }
}

async function hasMarks(storage: Storage): Promise<boolean> {
  for (const folder of MARK_FOLDERS) {
    if ((await storage.list(folder, { limit: 1 })).length > 0) return true;
  }
  return false;
}

function otherVersion(place: string, found: number | null): SetupError {
  const isNewer = found !== null && found > RECORD_VERSION;
  const format = found === null ? '' : ` (format ${found}; this version reads ${RECORD_VERSION})`;
  return new SetupError(
    isNewer
      ? `${place} was written by a newer Spillway${format}: start that version, or name an empty place in SPILLWAY_DATA_DIR or SPILLWAY_STORAGE`
      : `${place} was written by an older Spillway, whose records this version does not read${format}: ` +
          'let the older version finish its batches and fetch their results, then name an empty place in SPILLWAY_DATA_DIR or SPILLWAY_STORAGE',
  );
}
