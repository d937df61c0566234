import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause, SetupError } from '@spillway/runtime';
import { freePort } from './port.ts';
import type { RunningProcess } from './process.ts';
import type { Binary } from './redis-binary.ts';
import type { Member } from './system.ts';

/** Where a private Redis listens and with which password. */
type Address = { readonly port: number; readonly password: string };

export type PrivateRedis = { readonly url: string; readonly member: Member };

const CONFIG_FILE = 'redis.conf';

/** Work in flight is bounded by bytes far below this (see core/limits); it is there so that the shares of it hold. */
const MAX_MEMORY = '1gb';

/** Reading 1 GB of append-only file back takes some seconds. */
const MAX_LOAD_MS = 120_000;

/** A Redis whose owner was killed is ended by its guard within a second or two. */
const MAX_LEAVE_MS = 5_000;

const GUARD = fileURLToPath(new URL('guard.ts', import.meta.url));

/**
 * Prepares a Redis of our own in this directory: on loopback, with a password of its own, keeping what it has in an
 * append-only file. Throws a SetupError when another one still works in the directory.
 */
export async function preparePrivateRedis(directory: string, binary: Binary): Promise<PrivateRedis> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await waitUntilLeft(directory);
  const address = { port: await freePort(), password: randomBytes(24).toString('base64url') };
  // The password stands in a file that only this user reads, because everybody sees the arguments of a process.
  await writeFile(join(directory, CONFIG_FILE), configurationOf(address), { mode: 0o600 });
  const member: Member = {
    service: 'redis',
    level: 0,
    script: GUARD,
    args: [binary.name, binary.path, join(directory, CONFIG_FILE)],
    env: {},
    cwd: directory,
    isReady: (process) => untilLoaded(address, process, directory),
  };
  return { url: `redis://:${address.password}@127.0.0.1:${address.port}`, member };
}

function configurationOf({ port, password }: Address): string {
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    'daemonize no',
    'save ""',
    'appendonly yes',
    'appendfsync everysec',
    `maxmemory ${MAX_MEMORY}`,
    'maxmemory-policy noeviction',
    'logfile redis.log',
  ];
  return `${lines.join('\n')}\n`;
}

/** Two servers on one append-only file would ruin it. The last one's file says where it listened. */
async function waitUntilLeft(directory: string): Promise<void> {
  const text = await readFile(join(directory, CONFIG_FILE), 'utf8').catch(() => '');
  const port = Number(/^port (\d+)$/m.exec(text)?.[1] ?? 0);
  const password = /^requirepass (\S+)$/m.exec(text)?.[1] ?? '';
  if (port === 0) return;
  const never = new AbortController().signal;
  for (let waitedMs = 0; (await ping({ port, password })) !== 'absent'; waitedMs += 250) {
    if (waitedMs >= MAX_LEAVE_MS) {
      throw new SetupError(
        `Spillway already runs on ${directory}: stop it, or set SPILLWAY_DATA_DIR to another directory`,
      );
    }
    await pause(250, never);
  }
}

async function untilLoaded(address: Address, process: RunningProcess, directory: string): Promise<void> {
  const ended = new AbortController();
  void process.exited.then(() => ended.abort());
  const until = Date.now() + MAX_LOAD_MS;
  while ((await ping(address)) !== 'ready') {
    if (ended.signal.aborted) throw new Error(await lastLogLine(directory));
    if (Date.now() > until) throw new Error(`Redis did not answer within ${MAX_LOAD_MS / 1000} s`);
    await pause(20, ended.signal);
  }
}

async function lastLogLine(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'redis.log'), 'utf8').catch(() => '');
  const warnings = text.split('\n').filter((line) => / # /.test(line) && !/overcommit|bye bye/i.test(line));
  return warnings.at(-1)?.replace(/^.* # /, '') ?? 'it ended without a word';
}

/** Whether a server with this password answers there; by hand, for one question needs no client. */
async function ping({ port, password }: Address): Promise<'ready' | 'loading' | 'absent'> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setTimeout(2_000, () => socket.destroy());
  let answer = '';
  try {
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.split('\r\n').length > 2) socket.destroy();
    });
    socket.write(`AUTH ${password}\r\nPING\r\n`);
    await once(socket, 'close');
  } catch {
    return 'absent';
  } finally {
    socket.destroy();
  }
  if (answer.includes('+PONG')) return 'ready';
  return answer.includes('-LOADING') ? 'loading' : 'absent';
}
