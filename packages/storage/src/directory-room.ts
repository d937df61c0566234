import { randomUUID } from 'node:crypto';
import { statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { directoryError } from './directory-error.ts';
import { noRoomSinceMs, noteNoRoom, TEMPORARY_FOLDER, type Root } from './folder.ts';
import { openTemporary } from './placement.ts';
import type { Room } from './storage.ts';

/** As much as a small record takes. */
const LEAST_ROOM = Buffer.alloc(4096);
/** A disk that was full a moment ago has room for small things first: whoever makes room is not done with the first. */
const SHORT_MS = 3_600_000;

/** What room a directory has, by writing a small file and removing it. */
export async function roomOf(root: Root): Promise<Room> {
  if (await isFull(root)) {
    await noteNoRoom(root);
    return 'full';
  }
  const sinceMs = await noRoomSinceMs(root);
  return sinceMs !== null && Date.now() - sinceMs < SHORT_MS ? 'short' : 'enough';
}

/**
 * What is free of the directory's disk for whoever is not root: of its bytes or its files, the less. A quota is in neither;
 * that one is used up shows when nothing can be written. Null: the file system does not say.
 */
export async function freeShareOf({ path }: Root): Promise<number | null> {
  const { blocks, bavail, files, ffree } = await statfs(path);
  const shares = [
    [bavail, blocks],
    [ffree, files],
  ].flatMap(([free = 0, all = 0]) => (all > 0 ? [free / all] : []));
  return shares.length === 0 ? null : Math.min(...shares);
}

async function isFull(root: Root): Promise<boolean> {
  const temporary = join(root.path, TEMPORARY_FOLDER, randomUUID());
  try {
    const file = await openTemporary(root, temporary);
    try {
      await file.writeFile(LEAST_ROOM);
    } finally {
      await file.close().catch(() => undefined);
    }
    return false;
  } catch (error) {
    const problem = directoryError('write to', root.path, error);
    if (problem.code === 'full') return true;
    throw problem;
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}
