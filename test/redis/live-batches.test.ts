import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { admit, close, forget, listenForWork, readBatch, type RedisStore } from '@spillway/redis';
import { LiveBatches, type LiveBatch } from '../../services/dispatcher/src/live-batches.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';
import { until } from '../support/system.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

/** What a watcher was told last of each batch. */
class Told {
  readonly batches = new Map<string, LiveBatch | null>();
  count = 0;

  note(id: string, batch: LiveBatch | null): void {
    this.batches.set(id, batch);
    this.count += 1;
  }
}

const facts = (createdAtMs: number) => ({ tenant: 'a', createdAtMs, expiresAtMs: 10_000 });

/** How many commands a connection sends to Redis meanwhile. */
async function commandsOf(store: RedisStore, work: () => Promise<void>): Promise<number> {
  const count = async (): Promise<number> =>
    Number(/cmdstat_hmget:calls=(\d+)/.exec(await store.client.info('commandstats'))?.[1] ?? 0);
  const first = await count();
  await work();
  return (await count()) - first;
}

test('what was in work before is found, oldest first, and then only what changed is read, however many there are', async () => {
  await using store = await storeOn(redis, 'many');
  await markRecovered(store);
  for (let at = 0; at < 2_500; at += 1) await admit(store, `b${at}`, facts(10_000 - at));
  const live = new LiveBatches(store);
  const told = new Told();
  live.begin([told]);
  await live.refresh();
  assert.equal(told.batches.size, 2_500);
  assert.deepEqual([...told.batches.keys()].slice(0, 2), ['b2499', 'b2498']);
  const all = live.all().toArray();
  assert.deepEqual(all[0], {
    id: 'b2499',
    ...all[0],
    phase: 'validating',
    tenant: 'a',
    createdAtMs: 7_501,
    settled: 0,
  });
  assert.equal(await commandsOf(store, () => live.refresh()), 0, 'nothing was said to have changed');
  await close(store, 'b7', 'cancelled');
  live.noteChange('b7');
  assert.equal(await commandsOf(store, () => live.refresh()), 1);
  assert.equal(live.get('b7')?.phase, 'closed');
  assert.equal(told.count, 2_501);
});

test('each change says which batch it is of: also those that the version before made, whose scripts are the same', async () => {
  await using store = await storeOn(redis, 'said');
  await markRecovered(store);
  const said: string[] = [];
  let gaps = 0;
  const listener = { onChange: (batch: string) => said.push(batch), onGap: () => (gaps += 1) };
  await using _listening = await listenForWork(store, listener, new AbortController().signal);
  await openBatch(store, 'batch_a', 1, 1);
  await close(store, 'batch_a', 'cancelled');
  await store.client.publish(store.keys.wake, 'batch_b:17');
  await until(async () => said.length === 3);
  assert.deepEqual(said, ['batch_a', 'batch_a', 'batch_b']);
  assert.equal(gaps, 0);
  await redis.client.client('KILL', 'TYPE', 'PUBSUB');
  await until(async () => gaps === 1);
});

test('what nobody said is found in parts: what changed, what is new and what is gone', async () => {
  await using store = await storeOn(redis, 'unsaid');
  await markRecovered(store);
  for (let at = 0; at < 3_000; at += 1) await admit(store, `b${at}`, facts(at));
  const live = new LiveBatches(store);
  const told = new Told();
  live.begin([told]);
  await live.refresh();
  await admit(store, 'new', facts(1));
  await close(store, 'b1', 'cancelled');
  await forget(store, 'b2');
  const isFound = (): boolean =>
    live.get('new') !== undefined && live.get('b1')?.phase === 'closed' && live.get('b2') === undefined;
  for (let part = 0; part < 8 && !isFound(); part += 1) {
    const read = await live.readSome(500);
    assert.ok(read.length < 2_600, `${read.length} are a part of them`);
  }
  assert.equal(isFound(), true);
  assert.equal(told.batches.get('b2'), null);
  assert.equal((await readBatch(store, 'b1'))?.outcome, 'cancelled');
});

test('a gap, or a reading that failed, is made good by the next reading', async () => {
  await using store = await storeOn(redis, 'gap');
  await markRecovered(store);
  await admit(store, 'a', facts(1));
  const live = new LiveBatches(store);
  live.begin([]);
  await live.refresh();
  await admit(store, 'b', facts(2));
  live.noteGap();
  const key = store.keys.batches;
  await store.client.rename(key, `${key}-kept`);
  await store.client.set(key, 'of another type');
  await assert.rejects(live.refresh());
  await store.client.rename(`${key}-kept`, key);
  await live.refresh();
  assert.deepEqual(
    live
      .all()
      .map(({ id }) => id)
      .toArray(),
    ['a', 'b'],
  );
});
