import { cutText } from '@spillway/core';
import type { ByteRange, ListOptions } from './storage.ts';
import { StorageError } from './storage-error.ts';

/** S3 allows 1,024 bytes with its prefix, and most file systems 255 for a name. */
const MAX_KEY_CHARACTERS = 512;
const MAX_SEGMENT_CHARACTERS = 255;

/**
 * A leading dot is refused: `.` and `..` leave the folder, `.tmp` holds what is not whole yet, and
 * file systems keep names of their own there (`.nfs0001`, `.snapshot`).
 */
const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

export function checkKey(key: string): void {
  if (!isKey(key)) throw badKey(key, 'segments of A-Z a-z 0-9 . _ - joined by "/", none beginning with a dot');
}

export function isKey(key: string): boolean {
  return key.length <= MAX_KEY_CHARACTERS && key.split('/').every(isSegment);
}

/** Whether an object directly in a folder may have this name. */
export function isSegment(name: string): boolean {
  return name.length <= MAX_SEGMENT_CHARACTERS && SEGMENT.test(name);
}

export function checkFolder(folder: string, { after, limit }: ListOptions): void {
  if (!folder.endsWith('/') || !isKey(folder.slice(0, -1))) throw badKey(folder, 'a key followed by "/"');
  if (after !== undefined) checkKey(after);
  if (!Number.isSafeInteger(limit) || limit < 0) throw new RangeError(`limit: expected a whole number, got ${limit}`);
}

export function checkRange(range: ByteRange | undefined): void {
  if (range === undefined) return;
  const { start, end } = range;
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start) return;
  throw new RangeError(`range: expected 0 <= start <= end, got ${start} to ${end}`);
}

function badKey(key: string, expected: string): StorageError {
  const shown = JSON.stringify(cutText(key, 80, '…'));
  return new StorageError(
    'bad_key',
    `Bad storage key ${shown}: expected ${expected}, at most ${MAX_KEY_CHARACTERS} characters`,
  );
}
