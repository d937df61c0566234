import { randomUUID } from 'node:crypto';
import { link, open, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { directoryError, errnoOf, linkError } from './directory-error.ts';
import { foldersOf, isAbsent, makeFolder, noteNoRoom, syncFolder, TEMPORARY_FOLDER, type Root } from './folder.ts';
import { StorageError } from './storage-error.ts';
import type { CreateOutcome } from './storage.ts';

/** Others may remove a folder as empty between its making and its use; with eight at it, five attempts were the most in 10,000. */
const MAX_LINKS = 50;

/** Fills a temporary file, makes it durable, and links it to its name, which fails for whoever comes second. */
export async function placeFile(
  root: Root,
  key: string,
  fill: (file: FileHandle) => Promise<void>,
): Promise<CreateOutcome> {
  try {
    return await placeTemporary(root, key, fill);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'full') await noteNoRoom(root);
    throw error;
  }
}

async function placeTemporary(
  root: Root,
  key: string,
  fill: (file: FileHandle) => Promise<void>,
): Promise<CreateOutcome> {
  const temporary = join(root.path, TEMPORARY_FOLDER, randomUUID());
  const file = await openTemporary(root, temporary);
  try {
    await fill(file);
    try {
      await file.sync();
      // NFS may answer a link that it made, but whose answer was lost, with EEXIST; then the file has two names.
      const outcome = await linkFile(root, key, temporary, async () => (await file.stat()).nlink > 1);
      await syncFolders(root, key);
      return outcome;
    } catch (error) {
      throw directoryError('write to', root.path, error);
    }
  } finally {
    // What cannot be closed or removed now is removed when it is a day old; the outcome stands.
    await file.close().catch(() => undefined);
    await unlink(temporary).catch(() => undefined);
  }
}

/** Gives an object a second name, which takes neither bytes nor an inode; false: there is no such object. */
export async function linkObject(root: Root, key: string, other: string): Promise<CreateOutcome | false> {
  const source = join(root.path, other);
  try {
    const file = await open(source, 'r').catch(async (error: unknown) => {
      if (await isAbsent(root, error)) return null;
      throw error;
    });
    if (file === null) return false;
    try {
      const outcome = await linkFile(root, key, source, () => isSameFile(file, join(root.path, key)));
      await syncFolders(root, key);
      return outcome;
    } finally {
      await file.close().catch(() => undefined);
    }
  } catch (error) {
    throw directoryError('write to', root.path, error);
  }
}

async function isSameFile(file: FileHandle, path: string): Promise<boolean> {
  const [left, right] = [await file.stat({ bigint: true }), await stat(path, { bigint: true }).catch(() => null)];
  return right !== null && left.ino === right.ino && left.dev === right.dev;
}

export async function openTemporary(root: Root, path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx').catch(async (error: unknown) => {
      if (!(await isAbsent(root, error))) throw error;
      await makeFolder(dirname(path));
      return open(path, 'wx');
    });
  } catch (error) {
    throw directoryError('write to', root.path, error);
  }
}

/** `isLinked` says whether the link was made although it was answered that something stands there. */
async function linkFile(
  root: Root,
  key: string,
  source: string,
  isLinked: () => Promise<boolean>,
): Promise<CreateOutcome> {
  const path = join(root.path, key);
  for (let attempts = 1; ; attempts++) {
    try {
      if (attempts > 1) await makeFolders(root, key);
      await link(source, path);
      return 'created';
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EEXIST') return secondTo(key, path, isLinked);
      if (!(await isAbsent(root, error)) || errno !== 'ENOENT' || attempts === MAX_LINKS)
        throw linkError(root.path, error);
    }
  }
}

async function makeFolders(root: Root, key: string): Promise<void> {
  for (const folder of foldersOf(root, key).toReversed()) await makeFolder(folder);
}

async function secondTo(key: string, path: string, isLinked: () => Promise<boolean>): Promise<CreateOutcome> {
  if (await isLinked()) return 'created';
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() !== true) return 'exists';
  throw new StorageError('bad_key', `${key} is a folder of other keys: an object needs a name of its own`);
}

/**
 * Syncs the key's folders up to the root. Others may have made a folder or the object a moment ago and
 * not have synced it yet, so this is done whoever was first; a clean folder takes 0.2 ms on ext4.
 */
async function syncFolders(root: Root, key: string): Promise<void> {
  const folders = foldersOf(root, key).map((folder) =>
    syncFolder(folder).catch((error: unknown) => {
      // Somebody has removed the object in the meantime, and its folder with it.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }),
  );
  await Promise.all([...folders, syncFolder(root.path)]);
}
