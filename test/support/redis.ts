import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
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

export async function startRedis(options: { maxmemory?: string } = {}): Promise<RedisServer> {
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
  const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  client.on('error', () => undefined);
  await client.ping();
  const kill = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGKILL');
    await once(server, 'exit');
  };
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
    restart: async ({ lose = false } = {}) => {
      await kill();
      if (lose) await rm(join(directory, 'appendonlydir'), { recursive: true, force: true });
      server = launch();
      while ((await client.ping().catch(() => '')) !== 'PONG') await delay(20);
    },
    [Symbol.asyncDispose]: stop,
  };
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
