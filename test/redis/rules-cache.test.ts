import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RulesCache } from '../../packages/worker/src/rules-cache.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

test('small batches that take turns: the rules of each are read once, and kept once where they are the same', async () => {
  await using store = await storeOn(redis, 'rules');
  await markRecovered(store);
  const batches = Array.from({ length: 1_000 }, (_, at) => `b${at}`);
  for (const id of batches) await openBatch(store, id, 1, 1);
  const cache = new RulesCache(store);
  const reads = async (): Promise<number> =>
    Number(/cmdstat_get:calls=(\d+)/.exec(await store.client.info('commandstats'))?.[1] ?? 0);
  const first = await reads();
  const known = new Set<unknown>();
  for (let turn = 0; turn < 3; turn += 1) {
    for (const batch of batches) known.add(await cache.of({ batch, cascade: 'test' }, ''));
  }
  assert.equal((await reads()) - first, batches.length);
  assert.equal(known.size, 1);
  assert.equal(await cache.of({ batch: 'gone', cascade: 'test' }, ''), null);
});
