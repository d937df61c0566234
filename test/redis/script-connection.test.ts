import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UnaskedResult } from '@spillway/core';
import { enqueuePage, openRedis, Settler, type RedisStore } from '@spillway/redis';
import { openLog } from '@spillway/runtime';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch } from '../support/stores.ts';
import { until } from '../support/system.ts';

/** Scripts are told which server their connection is to: never another one's than that which runs them. */

const log = openLog('test', 'silent');
const DOCUMENTS = 4_000;

const working = (redis: RedisServer): Promise<RedisStore> =>
  openRedis({ address: redis.url, namespace: 'scripts', log, works: true });

const runIdOf = async ({ client }: RedisServer): Promise<string> =>
  /^run_id:(\w+)/m.exec(await client.info('server'))?.[1] ?? '';

const resultOf = (place: number): UnaskedResult => ({
  line: { part: 'output', text: `{"custom_id":"${place}"}` },
  counts: { completed: 1 },
});

async function openPage(store: RedisStore): Promise<void> {
  await markRecovered(store);
  await openBatch(store, 'b', DOCUMENTS, 1);
  await enqueuePage(store, 'b', 0, { first: 0, documents: DOCUMENTS, offset: 0, bytes: 1, lineBefore: 0 }, 1);
}

test('a connection knows its server, forgets it when it is cut, and learns of the next one', async () => {
  await using redis = await startRedis();
  await using store = await working(redis);
  const knows = async (): Promise<boolean> =>
    store.scripts.runId !== '' && store.scripts.runId === (await runIdOf(redis));
  await until(knows);
  const before = store.scripts.runId;
  await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(() => Promise.resolve(store.scripts.runId === ''));
  await until(knows);
  assert.equal(store.scripts.runId, before);
  await redis.restart();
  await until(knows);
  assert.notEqual(store.scripts.runId, before);
});

test('Redis is started anew while results are settled without a pause: none is taken before a recovery', async () => {
  await using redis = await startRedis();
  await using store = await working(redis);
  const settler = new Settler(store);
  for (let round = 0; round < 3; round += 1) {
    await redis.client.flushall();
    await openPage(store);
    const wrote = new Set<number>();
    const over = new AbortController();
    let recovering = 0;
    const settle = async (place: number): Promise<void> => {
      while (!over.signal.aborted && !wrote.has(place)) {
        const answer = await settler.settle({ batch: 'b', page: 0, place }, resultOf(place)).catch(() => 'AWAY');
        if (answer === 'WROTE' || answer === 'ALREADY') wrote.add(place);
        if (answer === 'RECOVERING') recovering += 1;
        if (answer === 'AWAY') await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const all = Array.from({ length: DOCUMENTS }, (_, place) => settle(place));
    const results = async (): Promise<number> => await redis.client.hlen(store.keys.page('b', 0));
    try {
      await until(() => Promise.resolve(wrote.size > 50 * (round + 1)));
      await redis.restart();
      const afterStart = await results();
      await until(() => Promise.resolve(recovering > 200));
      assert.equal(await results(), afterStart, 'what it holds stays as it was');
    } finally {
      over.abort();
      await Promise.all(all);
    }
  }
});
