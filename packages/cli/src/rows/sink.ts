import { accessSync, constants, createWriteStream, statSync, type WriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { dirname, resolve } from 'node:path';
import { UserError } from '../client.ts';
import { EXIT } from '../exit-codes.ts';

/** Where the bytes of results go. What cannot be taken is waited for, so that memory stays flat. */
export type Sink = {
  write(data: string | Uint8Array): Promise<void>;
  end(): Promise<void>;
  /** Leaves nothing behind. */
  abandon(): Promise<void>;
};

/** Throws where a file cannot be written, before anything is paid for that would go there. */
export function checkWritable(path: string): void {
  const folder = dirname(resolve(path));
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw unwritable(path, error);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new UserError(`${path} is a folder: name a file in it`, { exitCode: EXIT.usage });
}

/** A file that has its name only when it is whole; until then what stood there stays. */
export function openFile(path: string): Sink {
  const part = `${path}.part`;
  const stream = createWriteStream(part);
  // What fails meanwhile is told by the next write, or by the end.
  stream.on('error', () => undefined);
  return {
    write: (data) => push(stream, data, path),
    end: async () => {
      stream.end();
      await finished(stream).catch((error: unknown) => Promise.reject(unwritable(path, error)));
      await rename(part, path);
    },
    abandon: async () => {
      stream.destroy();
      await rm(part, { force: true });
    },
  };
}

export function openStdout(): Sink {
  const { stdout } = process;
  return {
    write: async (data) => {
      if (!stdout.write(data)) await once(stdout, 'drain');
    },
    end: () => Promise.resolve(),
    abandon: () => Promise.resolve(),
  };
}

async function push(stream: WriteStream, data: string | Uint8Array, path: string): Promise<void> {
  if (stream.errored !== null) throw unwritable(path, stream.errored);
  if (stream.write(data)) return;
  await once(stream, 'drain').catch((error: unknown) => Promise.reject(unwritable(path, error)));
}

const unwritable = (path: string, error: unknown): UserError =>
  new UserError(`${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)})`, {
    cause: error,
  });
