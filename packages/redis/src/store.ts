import { SetupError, type Log } from '@spillway/runtime';
import { shownAddress } from './address.ts';
import { connectRedis, type RedisClient } from './client.ts';
import { Keys } from './keys.ts';
import { Outage } from './outage.ts';
import { pressOn } from './press-on.ts';
import { OwnScriptConnection } from './script-connection.ts';
import { Script, type ScriptConnection } from './script.ts';

const infoScript = new Script('info');
const nowScript = new Script('now');

/** Spillway's state in Redis: a client and the names of its keys. */
export type RedisStore = AsyncDisposable & {
  readonly client: RedisClient;
  /** What runs the scripts that every document needs: the client, or a connection of its own. */
  readonly scripts: ScriptConnection;
  readonly keys: Keys;
  readonly address: string;
  readonly outage: Outage;
};

export type RedisOptions = {
  readonly address: string;
  /** Prefix of all keys; systems that share one Redis differ in it. */
  readonly namespace: string;
  readonly log: Log;
  /**
   * It works on documents: their scripts have a connection of their own, and where Redis is full it may still hand on what
   * it has.
   */
  readonly works?: boolean;
};

const MAX_CONNECT_MS = 15_000;

/** What no further attempt mends: a certificate that is not trusted, a wrong password. */
const HOPELESS = /^(DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_|ERR_TLS_CERT_|WRONGPASS|NOAUTH)/;

/** Connects, and refuses a Redis that would lose or drop what it is given. */
export async function openRedis(options: RedisOptions): Promise<RedisStore> {
  const asking = connectRedis(options.address, 'ask');
  const client = options.works === true ? pressOn(asking) : asking;
  let last = 'no answer';
  const onError = (error: Error): void => {
    last = error.message === '' ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
    options.log.debug({ err: error }, 'redis connection');
  };
  client.on('error', onError);
  const own = options.works === true ? new OwnScriptConnection(options.address, onError) : null;
  const clients = own === null ? [client] : [client, own.client];
  try {
    await Promise.all(clients.map(connected));
  } catch {
    for (const one of clients) one.disconnect();
    throw new SetupError(
      `Cannot reach Redis at ${shownAddress(options.address)} (${last}): start it or set REDIS_URL to where it runs`,
    );
  }
  const keys = new Keys(options.namespace);
  const outage = new Outage({ clients, keys, log: options.log, reason: () => last });
  const redis: RedisStore = {
    client,
    scripts: own ?? { client, runId: '' },
    keys,
    address: options.address,
    outage,
    [Symbol.asyncDispose]: async () => {
      outage[Symbol.dispose]();
      own?.[Symbol.dispose]();
      client.disconnect();
    },
  };
  await checkServer(redis, options.log);
  return redis;
}

async function connected(client: RedisClient): Promise<void> {
  if (client.status === 'ready') return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const limit = setTimeout(() => reject(new Error('no connection')), MAX_CONNECT_MS);
  const giveUp = (error: NodeJS.ErrnoException): void => {
    if (HOPELESS.test(error.code ?? error.message)) reject(error);
  };
  client.once('ready', () => resolve());
  client.on('error', giveUp);
  await promise.finally(() => {
    clearTimeout(limit);
    client.off('error', giveUp);
  });
}

async function checkServer(redis: RedisStore, log: Log): Promise<void> {
  const memory = await infoOf(redis, 'memory');
  const persistence = await infoOf(redis, 'persistence');
  const policy = memory.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    throw new SetupError(
      `Redis evicts keys (maxmemory-policy ${policy}), which would lose documents: set maxmemory-policy to noeviction`,
    );
  }
  if (persistence.get('aof_enabled') === '0') {
    log.warn('Redis keeps no append-only file: a restart repeats all work in flight; set appendonly yes');
  }
  if (memory.get('maxmemory') === '0') {
    log.warn(
      'Redis has no maxmemory: only the byte bounds of enqueueing hold; set maxmemory to what the machine can give',
    );
  }
}

/** The `name:value` lines of an INFO section of the node that holds our keys. */
export async function infoOf(
  redis: RedisStore,
  section: 'server' | 'memory' | 'persistence',
): Promise<Map<string, string>> {
  const text = (await infoScript.run(redis.client, [redis.keys.epoch], [section])) as string;
  return new Map(
    text
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

/** What Redis uses and may; `maxBytes` is 0 when there is no bound. */
export type MemoryUse = { readonly usedBytes: number; readonly maxBytes: number };

export async function memoryUse(redis: RedisStore): Promise<MemoryUse> {
  const memory = await infoOf(redis, 'memory');
  return { usedBytes: Number(memory.get('used_memory') ?? 0), maxBytes: Number(memory.get('maxmemory') ?? 0) };
}

/** The share of `maxmemory` in use; 0 when there is no bound. */
export async function memoryShare(redis: RedisStore): Promise<number> {
  const { usedBytes, maxBytes } = await memoryUse(redis);
  return maxBytes === 0 ? 0 : usedBytes / maxBytes;
}

/** Redis' clock in Unix milliseconds: the one clock that all processes share. */
export async function redisNowMs(redis: RedisStore): Promise<number> {
  const [seconds, micros] = (await nowScript.run(redis.client, [redis.keys.epoch], [])) as [string, string];
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}
