import { mkdir, open, opendir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';

import { untilAborted } from './abort.ts';
import { directoryError, errnoOf } from './directory-error.ts';
import {
  foldersOf,
  isAbsent,
  removeEmpty,
  removeLeftovers,
  syncFolder,
  TEMPORARY_FOLDER,
  type Root,
} from './folder.ts';
import { checkFolder, checkKey, checkRange, isSegment } from './key.ts';
import { linkObject, placeFile } from './placement.ts';
import { freeShareOf, roomOf } from './directory-room.ts';
import { proveCreateOnly } from './proof.ts';
import { StorageError } from './storage-error.ts';
import type { ByteRange, CreateOutcome, ListOptions, Room, Storage } from './storage.ts';

/** Whoever writes a file touches it far more often than that. */
const LEFTOVER_AGE_MS = 86_400_000;
/** One thread-pool call for 256 entries: 100,000 take 0.1 s, against 0.28 s with Node's 32. */
const ENTRIES_AT_A_TIME = 256;
const CHUNK_BYTES = 256 * 1024;

/** Opens a directory as storage. Makes it when only its last part is missing, so that a mistyped path is noticed. */
export async function openDirectory(path: string): Promise<Storage> {
  try {
    await mkdir(path);
    await syncFolder(dirname(path));
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw directoryError('create', path, error);
  }
  const found = await stat(path, { bigint: true }).catch((error: unknown) => {
    throw directoryError('open', path, error);
  });
  if (!found.isDirectory()) throw new StorageError('bad_address', `${path} is not a directory: name one`);
  await removeLeftovers(join(path, TEMPORARY_FOLDER), LEFTOVER_AGE_MS);
  return new DirectoryStorage({ path, inode: found.ino });
}

class DirectoryStorage implements Storage {
  readonly #root: Root;

  constructor(root: Root) {
    this.#root = root;
  }

  async create(key: string, bytes: Uint8Array): Promise<CreateOutcome> {
    checkKey(key);
    return placeFile(this.#root, key, (file) => this.#append(file, bytes));
  }

  async createLike(key: string, other: string): Promise<CreateOutcome | false> {
    checkKey(key);
    checkKey(other);
    return linkObject(this.#root, key, other);
  }

  async room(): Promise<Room> {
    return roomOf(this.#root);
  }

  async freeShare(): Promise<number | null> {
    return freeShareOf(this.#root);
  }

  async upload(key: string, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<number> {
    checkKey(key);
    let writtenBytes = 0;
    const outcome = await placeFile(this.#root, key, async (file) => {
      for await (const chunk of signal === undefined ? source : untilAborted(source, signal)) {
        await this.#append(file, chunk);
        writtenBytes += chunk.byteLength;
      }
    });
    if (outcome === 'created') return writtenBytes;
    throw new StorageError('bad_key', `${key} exists already: every upload needs a key of its own`);
  }

  async read(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    const found = await this.#open(key, range);
    if (found === null) return null;
    const { file, start, end } = found;
    try {
      const bytes = Buffer.allocUnsafeSlow(end - start);
      for (let filled = 0; filled < bytes.length;) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
        if (bytesRead === 0) throw this.#shortened(key);
        filled += bytesRead;
      }
      return bytes;
    } catch (error) {
      throw this.#readError(key, error);
    } finally {
      await file.close();
    }
  }

  async stream(key: string, range?: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | null> {
    signal?.throwIfAborted();
    const found = await this.#open(key, range);
    if (found === null) return null;
    const { file, start, end } = found;
    if (start === end) {
      await file.close();
      return Readable.from([]);
    }
    const abortable = signal === undefined ? {} : { signal };
    const stream = file.createReadStream({ start, end: end - 1, highWaterMark: CHUNK_BYTES, ...abortable });
    // An abort before the first iteration closes the file, and has no other listener.
    stream.on('error', () => undefined);
    return this.#chunks(key, stream, end - start, signal);
  }

  async size(key: string): Promise<number | null> {
    checkKey(key);
    try {
      const found = await stat(join(this.#root.path, key));
      return found.isFile() ? found.size : null;
    } catch (error) {
      if (await isAbsent(this.#root, error)) return null;
      throw this.#readError(key, error);
    }
  }

  async remove(key: string): Promise<void> {
    checkKey(key);
    try {
      await unlink(join(this.#root.path, key));
    } catch (error) {
      if (await isAbsent(this.#root, error)) return;
      throw directoryError('remove from', this.#root.path, error);
    }
    // Folders that became empty go too, or every batch would leave some for ever.
    for (const folder of foldersOf(this.#root, key)) {
      if (!(await removeEmpty(folder))) return;
    }
  }

  async list(folder: string, options: ListOptions): Promise<string[]> {
    checkFolder(folder, options);
    const { after = '', limit } = options;
    let keys: string[] = [];
    let last: string | undefined;
    try {
      for await (const entry of await opendir(join(this.#root.path, folder), { bufferSize: ENTRIES_AT_A_TIME })) {
        const key = folder + entry.name;
        if (key <= after || (last !== undefined && key > last) || !entry.isFile() || !isSegment(entry.name)) continue;
        keys.push(key);
        if (keys.length < 2 * limit + ENTRIES_AT_A_TIME) continue;
        // Only the first `limit` are wanted, so memory does not depend on the folder's size.
        keys = keys.sort().slice(0, limit);
        last = keys.at(-1);
      }
    } catch (error) {
      if (await isAbsent(this.#root, error)) return [];
      throw this.#readError(folder, error);
    }
    return keys.sort().slice(0, limit);
  }

  async prove(): Promise<void> {
    await proveCreateOnly(this, this.#root.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #append(file: FileHandle, bytes: Uint8Array): Promise<void> {
    try {
      await file.writeFile(bytes);
    } catch (error) {
      throw directoryError('write to', this.#root.path, error);
    }
  }

  /** The open object and the bytes of it that there are in the range; null if there is no object. */
  async #open(key: string, range?: ByteRange): Promise<{ file: FileHandle; start: number; end: number } | null> {
    checkKey(key);
    checkRange(range);
    let file: FileHandle | null = null;
    try {
      file = await open(join(this.#root.path, key), 'r');
      const found = await file.stat();
      if (found.isFile()) {
        const start = Math.min(range?.start ?? 0, found.size);
        return { file, start, end: Math.min(range?.end ?? found.size, found.size) };
      }
      await file.close();
      return null;
    } catch (error) {
      if (await isAbsent(this.#root, error)) return null;
      await file?.close().catch(() => undefined);
      throw this.#readError(key, error);
    }
  }

  async *#chunks(
    key: string,
    stream: AsyncIterable<Uint8Array>,
    expectedBytes: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void> {
    let leftBytes = expectedBytes;
    try {
      for await (const chunk of stream) {
        leftBytes -= chunk.byteLength;
        yield chunk;
      }
      if (leftBytes > 0) throw this.#shortened(key);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#readError(key, error);
    }
  }

  #shortened(key: string): StorageError {
    return new StorageError('unavailable', `${key} became shorter while it was read: see whether the disk is healthy`);
  }

  #readError(key: string, error: unknown): StorageError {
    return directoryError('read', join(this.#root.path, key), error);
  }
}
