import {
  admit,
  beginRecovery,
  distrust,
  finishRecovery,
  open,
  openRedis,
  type Recovery,
  type RedisStore,
} from '@spillway/redis';
import { openLog } from '@spillway/runtime';
import { rulesOf } from './jobs.ts';
import type { RedisServer } from './redis.ts';

const silent = openLog('test', 'silent');

/** A client's view of the state in Redis under its own prefix, as every process has one. */
export function storeOn(redis: RedisServer, namespace: string): Promise<RedisStore> {
  return openRedis({ address: redis.url, namespace, log: silent });
}

/** Marks Redis as recovered, as the leading dispatcher does when storage holds nothing. */
export async function markRecovered(store: RedisStore): Promise<void> {
  await finishRecovery(store, await beginAnew(store));
}

/** Begins a recovery also of a Redis that needs none. */
export async function beginAnew(store: RedisStore, token = 'test'): Promise<Recovery> {
  await distrust(store);
  const recovery = await beginRecovery(store, token);
  if (recovery === null) throw new Error('Redis counts as recovered all the same');
  return recovery;
}

/** A batch in work, open for results. */
export async function openBatch(store: RedisStore, id: string, documents: number, pages: number): Promise<void> {
  await admit(store, id, { tenant: 'default', createdAtMs: 0, expiresAtMs: Number.MAX_SAFE_INTEGER });
  await open(store, id, { total: documents, pages, model: 'test', inProgressAtMs: 0 }, { test: rulesOf() });
}
