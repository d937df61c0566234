import { mkdir, open, opendir, rmdir, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { errnoOf } from './directory-error.ts';
import { StorageError } from './storage-error.ts';

/** The storage's directory, and which one it was at start. */
export type Root = { path: string; inode: bigint };

/** On the same file system as the objects, so that a link can be made; no key can name it. */
export const TEMPORARY_FOLDER = '.tmp';

/** Tells all processes when a write last found no room: an empty file takes none. No key can name it. */
const NO_ROOM = '.no-room';

/** Notes that a write found no room. Nothing depends on it, so no failure is reported. */
export async function noteNoRoom(root: Root): Promise<void> {
  const path = join(root.path, NO_ROOM);
  const now = new Date();
  await utimes(path, now, now).catch(() => writeFile(path, '').catch(() => undefined));
}

/** When a write last found no room, in Unix milliseconds; null: none did. */
export async function noRoomSinceMs(root: Root): Promise<number | null> {
  return stat(join(root.path, NO_ROOM)).then(
    ({ mtimeMs }) => mtimeMs,
    () => null,
  );
}

/** The key's folders, the innermost first. Without the root: made again after an unmount, it would hide the loss. */
export function foldersOf(root: Root, key: string): string[] {
  const segments = key.split('/').slice(0, -1);
  return segments.map((_, index) => join(root.path, ...segments.slice(0, segments.length - index)));
}

/**
 * Whether the error says that there is no such object. An unmounted disk would say so of every object,
 * and what was written then would be hidden by the next mount; so the root must still be the one of the start.
 */
export async function isAbsent(root: Root, error: unknown): Promise<boolean> {
  // ENOTDIR: a part of the path is an object, and there is nothing below it.
  if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error))) return false;
  const inode = await stat(root.path, { bigint: true }).then(
    (found) => found.ino,
    () => null,
  );
  if (inode === root.inode) return true;
  throw new StorageError(
    'unavailable',
    `${root.path} is gone, or not the directory of the start: mount it again, or restart`,
    error,
  );
}

/** Makes one folder durable: its entry is in its parent before anything is put into it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  await syncFolder(dirname(path));
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some network file systems write folders through and refuse to sync them.
    if (errnoOf(error) !== 'EINVAL') throw error;
  } finally {
    await folder.close();
  }
}

/** Removes a folder that has become empty; false when it stays. */
export async function removeEmpty(path: string): Promise<boolean> {
  return rmdir(path).then(
    () => true,
    () => false,
  );
}

/** Removes files that a killed process left more than `ageMs` ago. Nothing depends on it, so no failure is reported. */
export async function removeLeftovers(folder: string, ageMs: number): Promise<void> {
  try {
    for await (const entry of await opendir(folder)) {
      const path = join(folder, entry.name);
      const found = await stat(path).catch(() => null);
      if (found !== null && Date.now() - found.mtimeMs > ageMs) await unlink(path).catch(() => undefined);
    }
  } catch {
    // There is no such folder yet, or this user may only read.
  }
}
