import { KEYS } from '@spillway/core';
import { walkKeys, type Storage } from '@spillway/storage';

/** A directory reads its whole folder for each listing, so that many of a hundred thousand marks are read at once. */
export const MARKS_AT_A_TIME = 10_000;

/** The batches that have not ended, as their marks in storage say, in runs. */
export async function* openMarks(storage: Storage): AsyncGenerator<readonly string[]> {
  for await (const keys of walkKeys(storage, KEYS.openMarks, null, MARKS_AT_A_TIME)) yield keys.map(batchOf);
}

/** The same, one run of them, behind a batch; null: from the first on. */
export async function someOpenMarks(storage: Storage, after: string | null): Promise<readonly string[]> {
  const behind = after === null ? {} : { after: KEYS.openMark(after) };
  return (await storage.list(KEYS.openMarks, { limit: MARKS_AT_A_TIME, ...behind })).map(batchOf);
}

const batchOf = (key: string): string => key.slice(KEYS.openMarks.length);
