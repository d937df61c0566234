import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './system.ts';

/** What is under way is tidied up by then. */
const MAX_BUSY_MS = 2_000;

/**
 * All that there is in a storage directory once nothing is under way: every two seconds a service writes a temporary file
 * to see whether there is room. One that stays is an error.
 */
async function entriesOf(directory: string): Promise<Dirent[]> {
  let entries: Dirent[] = [];
  await until(async () => {
    entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return entries.every(({ parentPath }) => parentPath !== join(directory, '.tmp'));
  }, MAX_BUSY_MS);
  return entries;
}

const namesOf = (directory: string, entries: readonly Dirent[]): string[] =>
  entries.map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1)).toSorted();

/** The keys of all objects in a storage directory. */
export async function keysIn(directory: string): Promise<string[]> {
  const entries = await entriesOf(directory);
  return namesOf(
    directory,
    entries.filter((entry) => entry.isFile()),
  );
}

/** The objects of a storage directory, and the folders, also those of which nothing is in use. */
export const namesIn = async (directory: string): Promise<string[]> => namesOf(directory, await entriesOf(directory));
