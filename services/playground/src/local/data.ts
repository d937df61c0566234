import { access, constants, mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SetupError, type Env } from '@spillway/runtime';

const DEFAULT_DIRECTORY = '.spillway';

/** Where a local system keeps what must survive it. */
export type DataPlace = {
  /** The variables of the services' storage. */
  readonly storage: Env;
  /** For whatever is not in the storage: Redis' files, examples. */
  readonly directory: string;
};

/** Reads SPILLWAY_DATA_DIR and SPILLWAY_STORAGE, and makes the directory; without either it is ./.spillway. */
export async function openDataPlace(env: Env): Promise<DataPlace> {
  const address = env['SPILLWAY_STORAGE'] ?? '';
  const named = env['SPILLWAY_DATA_DIR'] ?? '';
  if (address !== '' && named !== '') {
    throw new SetupError('SPILLWAY_DATA_DIR, SPILLWAY_STORAGE: expected at most one of them');
  }
  const directory = resolve(named === '' ? DEFAULT_DIRECTORY : named);
  await makeDirectory(directory);
  return { directory, storage: address === '' ? { SPILLWAY_DATA_DIR: directory } : { SPILLWAY_STORAGE: address } };
}

/** Makes a directory, or says in one line why nothing can be written there. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await makeWithParents(path);
    await access(path, constants.W_OK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new SetupError(
      `Cannot write to ${path} (${code}): give this user the right to, or set SPILLWAY_DATA_DIR to another directory`,
      { cause: error },
    );
  }
}

/** Not `mkdir` with `recursive`: where nothing can be made, as in /proc, Node 24 goes on for ever. */
async function makeWithParents(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeWithParents(dirname(path));
    await mkdir(path);
  }
}
