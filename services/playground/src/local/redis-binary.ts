import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { SetupError, type Env } from '@spillway/runtime';

/** A program and the name it must be called by. */
export type Binary = { readonly path: string; readonly name: string };

/**
 * Debian and Ubuntu ship the server as the program `redis-check-rdb` of the package redis-tools, and the package
 * redis-server is little more than a link to it and a system service. It is a server when it is called by that name.
 */
const CANDIDATES = [
  { file: 'redis-server', name: 'redis-server' },
  { file: 'valkey-server', name: 'valkey-server' },
  { file: 'redis-check-rdb', name: 'redis-server' },
  { file: 'valkey-check-rdb', name: 'valkey-server' },
] as const;

type PackageManager = {
  readonly command: string;
  /** Homebrew refuses to run as root; the others need it. */
  readonly asRoot: boolean;
  /** Ways to get it, each a list of argument lists, the likeliest first. No way starts a system service. */
  readonly ways: readonly (readonly (readonly string[])[])[];
};

const APT_INSTALL = ['install', '-y', '--no-install-recommends'];

const PACKAGE_MANAGERS: readonly PackageManager[] = [
  {
    command: 'apt-get',
    asRoot: true,
    ways: [[[...APT_INSTALL, 'redis-tools']], [['update'], [...APT_INSTALL, 'redis-tools']]],
  },
  { command: 'dnf', asRoot: true, ways: [[['install', '-y', 'valkey']], [['install', '-y', 'redis']]] },
  { command: 'apk', asRoot: true, ways: [[['add', '--no-cache', 'redis']], [['add', '--no-cache', 'valkey']]] },
  { command: 'pacman', asRoot: true, ways: [[['-Sy', '--noconfirm', '--needed', 'valkey']]] },
  { command: 'brew', asRoot: false, ways: [[['install', 'redis']]] },
];

/** Installing takes seconds; a mirror that hangs must not take for ever. */
const MAX_INSTALL_MS = 300_000;

const ADVICE =
  'install redis-server or valkey-server with your package manager, or set REDIS_URL to a Redis that runs ' +
  '(e.g. docker run -p 6379:6379 redis --appendonly yes, REDIS_URL=redis://127.0.0.1:6379)';

/** Finds a Redis or Valkey server, or installs one where that needs no password; throws a SetupError with advice. */
export async function findRedisBinary(options: {
  readonly env: Env;
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}): Promise<Binary> {
  const found = await search(options.env);
  if (found !== null) return found;
  const refused: string[] = [];
  for (const manager of PACKAGE_MANAGERS) {
    if ((await pathOf(manager.command, options.env)) === null) continue;
    const prefix = await rightsFor(manager, options.env, options.signal);
    if (prefix === null) {
      refused.push(`${manager.command} needs a password here`);
      continue;
    }
    options.tell(
      `No redis-server or valkey-server here: installing one with ${[...prefix, manager.command].join(' ')}`,
    );
    for (const way of manager.ways) {
      const failure = await follow(way, [...prefix, manager.command], options);
      const installed = await search(options.env);
      if (installed !== null) return installed;
      if (failure !== null) refused.push(failure);
    }
  }
  const why = refused.length === 0 ? '' : ` (${refused.join('; ')})`;
  throw new SetupError(`No redis-server or valkey-server found${why}: ${ADVICE}`);
}

async function search(env: Env): Promise<Binary | null> {
  for (const { file, name } of CANDIDATES) {
    const path = await pathOf(file, env);
    if (path === null) continue;
    const version = await runCommand(path, ['--version'], { env, name, limitMs: 10_000 });
    if (version.code === 0 && / server v=/i.test(version.output)) return { path, name };
  }
  return null;
}

async function pathOf(file: string, env: Env): Promise<string | null> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, file);
    if (folder !== '' && (await isExecutable(path))) return path;
  }
  return null;
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** What to put before the command so that it may install; null when it would ask for a password. */
async function rightsFor(manager: PackageManager, env: Env, signal: AbortSignal): Promise<string[] | null> {
  const isRoot = process.getuid?.() === 0;
  if (!manager.asRoot) return isRoot ? null : [];
  if (isRoot) return [];
  if ((await pathOf('sudo', env)) === null) return null;
  const asked = await runCommand('sudo', ['-n', 'true'], { env, limitMs: 10_000, signal });
  return asked.code === 0 ? ['sudo', '-n'] : null;
}

/** Runs the steps of a way; null when all went well, else what the failing one said last. */
async function follow(
  way: readonly (readonly string[])[],
  [command = '', ...prefix]: readonly string[],
  { env, signal }: { env: Env; signal: AbortSignal },
): Promise<string | null> {
  for (const step of way) {
    const args = [...prefix, ...step];
    const quiet = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
    const { code, output } = await runCommand(command, args, { env: quiet, limitMs: MAX_INSTALL_MS, signal });
    signal.throwIfAborted();
    if (code !== 0)
      return `${[command, ...args].join(' ')}: ${output.trim().split('\n').at(-1) ?? `exit code ${code}`}`;
  }
  return null;
}

type CommandOptions = {
  readonly env: Env;
  readonly name?: string;
  readonly limitMs: number;
  readonly signal?: AbortSignal;
};

async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<{ code: number | null; output: string }> {
  const limit = AbortSignal.timeout(options.limitMs);
  const child = spawn(command, args, {
    env: options.env,
    argv0: options.name,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]),
  });
  let output = '';
  const keep = (piece: string): void => void (output = `${output}${piece}`.slice(-4_096));
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', keep);
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once('error', (error) => {
    output += `\n${error.message}`;
    resolve(null);
  });
  child.once('close', (code) => resolve(code));
  return { code: await promise, output: output.toWellFormed() };
}
