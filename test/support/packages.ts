import { execFile } from 'node:child_process';
import { access, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const INSTALL_TIMEOUT_MS = 240_000;

const run = promisify(execFile);

/** Sees to it that commands are there, by Debian's packages. Null when they are, otherwise why not: tests then skip. */
export async function install(packages: readonly string[], commands: readonly string[]): Promise<string | null> {
  if ((await missing(commands)).length === 0) return null;
  const named = packages.join(' ');
  if (process.env['SPILLWAY_TEST_NO_INSTALL'] !== undefined) return `${named} are not installed`;
  if (process.getuid?.() !== 0) return `${named} are not installed, and only root can install them`;
  const options = { timeout: INSTALL_TIMEOUT_MS, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  try {
    await installing(async () => {
      if ((await missing(commands)).length === 0) return;
      await run('apt-get', ['update', '-qq'], options);
      await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
    });
  } catch (error) {
    return `${named} cannot be installed: ${String(error).split('\n', 1)[0]}`;
  }
  const left = await missing(commands);
  return left.length === 0 ? null : `no ${left.join(', ')} after installing ${named}`;
}

const LOCK = join(tmpdir(), 'spillway-test-install.lock');

/** Test files run beside each other, and a package manager is for one at a time. A lock whose holder died is taken over. */
export async function installing<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    const lock = await open(LOCK, 'wx').catch(() => null);
    if (lock !== null) {
      try {
        return await work();
      } finally {
        await lock.close();
        await rm(LOCK, { force: true });
      }
    }
    const since = await stat(LOCK).catch(() => null);
    if (since !== null && Date.now() - since.mtimeMs > 2 * INSTALL_TIMEOUT_MS) await rm(LOCK, { force: true });
    await delay(200);
  }
}

/** Those of some commands that are not there. */
export async function missing(commands: readonly string[]): Promise<string[]> {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = await Promise.all(
    commands.map((command) =>
      Promise.any(folders.map((folder) => access(join(folder, command)))).then(
        () => true,
        () => false,
      ),
    ),
  );
  return commands.filter((_, index) => found[index] === false);
}
