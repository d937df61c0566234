import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findRedisBinary } from '../../services/playground/src/local/redis-binary.ts';
import { installing, missing } from './packages.ts';

/** Under one of these a server may be there already. */
const SERVERS = ['redis-server', 'valkey-server', 'redis-check-rdb', 'valkey-check-rdb'];

/** A real Redis of a test's own: append-only file, no eviction, its own port and directory. */
export type RedisServer = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  readonly client: Redis;
  /** Kills it as a crash would, and starts it again on what it had written; `lose` drops that too. */
  restart(options?: { lose?: boolean }): Promise<void>;
  /** Kills it and leaves it down until `restart`. */
  kill(): Promise<void>;
  stop(): Promise<void>;
};

/** One process, which can be held as a machine that is swapping would hold it. */
export type LoneRedis = Omit<RedisServer, 'restart'> & {
  /** As above; `loseBytes`: without the last bytes of what it had written. */
  restart(options?: { lose?: boolean; loseBytes?: number }): Promise<void>;
  /** Ends it as a deploy would, with all that it has on its disk, and leaves it down until `restart`. */
  shutDown(): Promise<void>;
  freeze(): void;
  thaw(): void;
};

export async function startRedis(options: { maxmemory?: string } = {}): Promise<LoneRedis> {
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const find = () => findRedisBinary({ env: process.env, tell, signal: new AbortController().signal });
  const isThere = (await missing(SERVERS)).length < SERVERS.length;
  const binary = isThere ? await find() : await installing(find);
  const directory = await mkdtemp(join(tmpdir(), 'spillway-redis-'));
  const port = await freePort();
  const launch = () => {
    const args = ['--port', String(port), '--dir', directory, '--bind', '127.0.0.1', '--save', ''];
    args.push('--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction');
    args.push('--maxmemory', options.maxmemory ?? '0');
    return spawn(binary.path, args, { argv0: binary.name, stdio: 'ignore' });
  };
  let server = launch();
  // A server that begins to read its file may say that it needs long, and ioredis would wait up to 10 s.
  const impatient = { retryStrategy: () => 50, maxLoadingRetryTime: 100 };
  const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null, ...impatient });
  client.on('error', () => undefined);
  await client.ping();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill(signal);
    await once(server, 'exit');
  };
  const kill = (): Promise<void> => end('SIGKILL');
  const stop = async (): Promise<void> => {
    client.disconnect();
    await kill();
    await rm(directory, { recursive: true, force: true });
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    client,
    kill,
    stop,
    shutDown: () => end('SIGTERM'),
    freeze: () => void server.kill('SIGSTOP'),
    thaw: () => void server.kill('SIGCONT'),
    restart: async ({ lose = false, loseBytes = 0 } = {}) => {
      await kill();
      if (lose) await rm(join(directory, 'appendonlydir'), { recursive: true, force: true });
      else if (loseBytes > 0) await cutTail(join(directory, 'appendonlydir'), loseBytes);
      server = launch();
      while ((await client.ping().catch(() => '')) !== 'PONG') await delay(20);
    },
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * Takes the last bytes from the append-only file, as a machine that lost its power may. A Redis that was killed while it
 * started has none.
 */
async function cutTail(folder: string, bytes: number): Promise<void> {
  const last = (await readdir(folder).catch((): string[] => []))
    .filter((name) => name.endsWith('.incr.aof'))
    .toSorted()
    .at(-1);
  if (last === undefined) return;
  const { size } = await stat(join(folder, last));
  await truncate(join(folder, last), Math.max(0, size - bytes));
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
