import { KEYS } from '@spillway/core';
import { walkKeys, type Storage } from '@spillway/storage';

/** The batches that have not ended, as their marks in storage say. */
export async function* openMarks(storage: Storage): AsyncGenerator<string> {
  for await (const keys of walkKeys(storage, KEYS.openMarks)) {
    for (const key of keys) yield key.slice(KEYS.openMarks.length);
  }
}
