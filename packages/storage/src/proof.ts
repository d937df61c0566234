import { randomUUID } from 'node:crypto';

import { StorageError } from './storage-error.ts';
import type { Storage } from './storage.ts';

/** A place that looks first and then writes passes one create after another, but not several at once. */
const RACERS = 8;

/** Throws a StorageError unless exactly one of several creates wins, a later one fails, and the winner's bytes are read back. */
export async function proveCreateOnly(storage: Storage, place: string): Promise<void> {
  const key = `probe/${randomUUID()}`;
  const written = Array.from({ length: RACERS }, () => Buffer.from(randomUUID()));
  try {
    const outcomes = await Promise.all(written.map((bytes) => storage.create(key, bytes)));
    const late = await storage.create(key, Buffer.from(randomUUID()));
    const winners = outcomes.filter((outcome) => outcome === 'created').length;
    if (winners !== 1 || late === 'created') {
      throw new StorageError(
        'not_create_only',
        `${place} lets a second create of a key succeed: use a storage that refuses it (a directory on a local disk, or S3 with If-None-Match on PUT)`,
      );
    }
    const read = await storage.read(key);
    const winner = written[outcomes.indexOf('created')];
    if (read === null || winner === undefined || !winner.equals(read)) {
      throw new StorageError(
        'unavailable',
        `${place} does not give back what was written: use a storage that reads its own writes at once`,
      );
    }
  } finally {
    // The proof's answer is the error above; a probe that stays behind is 36 bytes that nobody reads.
    await storage.remove(key).catch(() => undefined);
  }
}
