import { mkdir, open, readFile, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SetupError } from '@spillway/runtime';

/** A change takes milliseconds: one that is older was killed. */
const STALE_MS = 30_000;
const MAX_WAIT_MS = 10_000;

/** The text of a key file; none is an empty one. */
export async function readKeyFile(path: string): Promise<string> {
  return (await unlessAbsent(readFile(path, 'utf8'))) ?? '';
}

/**
 * The next version of a key file, written beside it and put in its place as a whole or not at all. While there is one,
 * nobody else changes the file.
 */
export class KeyFileDraft implements AsyncDisposable {
  /** The file as it is. */
  readonly text: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  #isCommitted = false;

  private constructor(path: string, handle: FileHandle, text: string) {
    this.#path = path;
    this.#handle = handle;
    this.text = text;
  }

  /** Waits while another command changes the file; throws a SetupError when that takes too long. */
  static async open(link: string): Promise<KeyFileDraft> {
    const path = (await unlessAbsent(realpath(link))) ?? link;
    await mkdir(dirname(path), { recursive: true });
    const handle = await openAlone(lockOf(path));
    try {
      return new KeyFileDraft(path, handle, await readKeyFile(path));
    } catch (error) {
      await discard(path, handle);
      throw error;
    }
  }

  /** Writes the next version, with the mode and the owner of the one before, and makes sure of it on the disk. */
  async write(text: string): Promise<void> {
    const before = await unlessAbsent(stat(this.#path));
    if (before !== null) {
      const own = await this.#handle.stat();
      if (own.uid !== before.uid || own.gid !== before.gid) await this.#handle.chown(before.uid, before.gid);
      await this.#handle.chmod(before.mode & 0o777);
    }
    await this.#handle.writeFile(text);
    await this.#handle.sync();
  }

  /** Puts what was written in the file's place. */
  async commit(): Promise<void> {
    if (!(await isOpenAt(lockOf(this.#path), this.#handle)))
      throw new SetupError(`${lockOf(this.#path)} was taken away`);
    await rename(lockOf(this.#path), this.#path);
    this.#isCommitted = true;
    await using folder = await open(dirname(this.#path));
    await folder.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isCommitted) await this.#handle.close();
    else await discard(this.#path, this.#handle);
  }
}

const lockOf = (path: string): string => `${path}.lock`;

async function discard(path: string, handle: FileHandle): Promise<void> {
  if (await isOpenAt(lockOf(path), handle)) await rm(lockOf(path), { force: true });
  await handle.close();
}

/** Whether what has that name is what the handle has open: one that took over stale ones may have been too quick. */
async function isOpenAt(path: string, handle: FileHandle): Promise<boolean> {
  const [named, own] = [await unlessAbsent(stat(path)), await handle.stat()];
  return named !== null && named.dev === own.dev && named.ino === own.ino;
}

/** Makes a file that nobody else has made. */
async function openAlone(path: string): Promise<FileHandle> {
  const end = performance.now() + MAX_WAIT_MS;
  while (performance.now() < end) {
    try {
      return await open(path, 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const other = await unlessAbsent(stat(path));
    if (other !== null && Date.now() - other.mtimeMs > STALE_MS) await rm(path, { force: true });
    else await delay(20);
  }
  throw new SetupError(`another command is changing the key file (${path} is there): try again`);
}

async function unlessAbsent<Value>(found: Promise<Value>): Promise<Value | null> {
  try {
    return await found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
