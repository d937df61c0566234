import { backoffMs } from '@spillway/core';
import { Cluster, Redis } from 'ioredis';
import { parseAddress } from './address.ts';
import { keepStringsFast } from './fast-strings.ts';

export type RedisClient = Redis | Cluster;

/**
 * Producers fail at once while Redis is away; workers wait for it. What `scripts` send fails with its connection and is
 * never sent again on another one: it may say which server it is for. They go together, as many as there are at a time.
 */
export type ClientUse = 'ask' | 'wait' | 'scripts';

/** A connection that owes an answer and says nothing for so long is dead, and made anew; workers wait in blocks of 10 s. */
export const SILENT_MS = 15_000;

/** A Redis that reads its file says how long that takes, by what it has read, which is much too long at first. */
const ASK_LOADING_MS = 500;

/** Between two attempts to connect. */
const RECONNECT = { firstMs: 100, maxMs: 2_000 };

/** Makes a client for any of the address forms; it connects in the background. Throws SetupError for a bad address. */
export function connectRedis(address: string, use: ClientUse): RedisClient {
  keepStringsFast();
  const parsed = parseAddress(address);
  const waits = use === 'wait';
  const isOnce = use === 'scripts';
  const options = {
    maxRetriesPerRequest: waits ? null : isOnce ? 0 : 1,
    // Whoever asks is told soon; the connection itself may only be slow.
    ...(waits ? {} : { commandTimeout: 10_000 }),
    socketTimeout: SILENT_MS,
    connectTimeout: 10_000,
    keepAlive: 10_000,
    maxLoadingRetryTime: ASK_LOADING_MS,
    reconnectOnError: (error: Error) =>
      error.message.startsWith('READONLY') ? (isOnce ? (1 as const) : (2 as const)) : false,
  };
  if (parsed.kind === 'cluster') {
    return new Cluster(parsed.nodes, {
      redisOptions: { ...options, ...parsed.options },
      enableAutoPipelining: isOnce,
      enableOfflineQueue: waits,
      clusterRetryStrategy: reconnectAfterMs,
      // Certificates are of names: what the Cluster tells of its nodes must not be turned into addresses first.
      ...('tls' in parsed.options ? { dnsLookup: (name, callback) => callback(null, name) } : {}),
    });
  }
  return new Redis({
    ...parsed.options,
    ...options,
    enableOfflineQueue: waits,
    enableAutoPipelining: isOnce,
    retryStrategy: reconnectAfterMs,
  });
}

const reconnectAfterMs = (failures: number): number => backoffMs(failures, Math.random(), RECONNECT);
