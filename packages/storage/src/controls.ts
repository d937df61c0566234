import { KEYS, RECORDS, type ControlRecord } from '@spillway/core';
import { readRecord } from './record.ts';
import type { Storage } from './storage.ts';
import { walkKeys } from './walk.ts';

/** The latest control of a batch with its number; null: nobody said anything. */
export async function readControl(
  storage: Storage,
  batch: string,
): Promise<{ readonly number: number; readonly record: ControlRecord } | null> {
  const folder = KEYS.controls(batch);
  let last: string | null = null;
  for await (const keys of walkKeys(storage, folder)) last = keys.at(-1) ?? last;
  if (last === null) return null;
  const record = await readRecord(storage, last, RECORDS.control);
  return record === null ? null : { number: Number(last.slice(folder.length)), record };
}
