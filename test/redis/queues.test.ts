import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LIMITS } from '@spillway/core';
import {
  bundledField,
  Leavings,
  writeDocument,
  lostDocuments,
  Queues,
  untilRecovered,
  type RedisStore,
} from '@spillway/redis';
import { jobOf } from '../support/jobs.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { storeOn } from '../support/stores.ts';
import { until } from '../support/system.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const QUEUE = 'drafter.small';

/** Adds documents of a batch of the tenant that is named like it, or of another one. */
async function add(queues: Queues, batch: string, first: number, count: number, tenant = batch): Promise<void> {
  const jobs = Array.from({ length: count }, (_, at) => jobOf({ batch, document: first + at }));
  await queues.add(QUEUE, jobs, await queues.takeTags(QUEUE, { tenant, batch, documents: count }));
}

/** The ids that wait, next one first. */
const waiting = (store: RedisStore): Promise<string[]> =>
  store.client.zrange(`${store.keys.queue(QUEUE)}:prioritized`, '0', '-1');

test('documents of two tenants alternate in a queue, whoever came first', async () => {
  await using store = await storeOn(redis, 'alternating');
  await using queues = new Queues(store);
  await add(queues, 'a', 0, 4);
  await add(queues, 'b', 0, 2);
  assert.deepEqual(await waiting(store), ['a-0', 'b-0', 'a-1', 'b-1', 'a-2', 'a-3']);
});

test('a small batch behind a large one of its tenant comes early, and both take no more than the tenant has', async () => {
  await using store = await storeOn(redis, 'one-tenant');
  await using queues = new Queues(store);
  await add(queues, 'large', 0, 60, 't');
  await add(queues, 'small', 0, 5, 't');
  await add(queues, 'large', 60, 30, 't');
  await add(queues, 'other', 0, 100);
  const order = await waiting(store);
  assert.ok(order.indexOf('small-4') < 30, `its last one is at ${order.indexOf('small-4')}`);
  const half = order.slice(0, 130).filter((id) => id.startsWith('other'));
  assert.ok(half.length >= 55 && half.length <= 75, `the other tenant has ${half.length} of 130`);
});

/** A queue without workers: documents are taken from it in order. */
async function served(store: RedisStore, queues: Queues, sizes: readonly number[], rounds: number): Promise<number[]> {
  const { client, keys } = store;
  const prioritized = `${keys.queue(QUEUE)}:prioritized`;
  const line: { tenant: number; batch: number; tag: number; order: number }[] = [];
  const counts = sizes.map(() => 0);
  const done = [...counts];
  let order = 0;
  const submit = async (tenant: number): Promise<void> => {
    const size = sizes[tenant] ?? 1;
    const batch = order;
    const flow = { tenant: `t${tenant}`, batch: `b${batch}`, documents: size };
    const tagOf = await queues.takeTags(QUEUE, flow);
    for (let at = 0; at < size; at += 1) line.push({ tenant, batch, tag: tagOf(at), order: (order += 1) });
    counts[tenant] = (counts[tenant] ?? 0) + size;
    const members = Array.from({ length: size }, (_, at) => [order * 0x100000000, `${batch}-${at}`]).flat();
    await client.zadd(prioritized, ...members);
  };
  const OUTSTANDING = 400;
  for (let round = 0; round < rounds; round += 1) {
    for (const tenant of sizes.keys()) while ((counts[tenant] ?? 0) < OUTSTANDING) await submit(tenant);
    line.sort((left, right) => left.tag - right.tag || left.order - right.order);
    for (const { tenant, tag } of line.splice(0, 40)) {
      counts[tenant] = (counts[tenant] ?? 0) - 1;
      done[tenant] = (done[tenant] ?? 0) + 1;
      await client.hset(keys.startTags(QUEUE), '#now', tag);
    }
    await client.zremrangebyrank(prioritized, 0, 39);
  }
  return done;
}

test('tenants with as much to do get the same, whatever the sizes of their batches', async () => {
  await using store = await storeOn(redis, 'sizes');
  await using queues = new Queues(store);
  const done = await served(store, queues, [1, 10, 50, 400], 150);
  const even = done.reduce((sum, one) => sum + one, 0) / done.length;
  assert.ok(
    done.every((one) => Math.abs(one - even) < 0.15 * even),
    done.join(', '),
  );
});

test('a large batch of a tenant with many small ones does not starve among other tenants', async () => {
  await using store = await storeOn(redis, 'many-small');
  await using queues = new Queues(store);
  for (let small = 0; small < 50; small += 1) await add(queues, `small-${small}`, 0, 2, 't');
  await add(queues, 'large', 0, 100, 't');
  await add(queues, 'other', 0, 1_000);
  const order = await waiting(store);
  assert.ok(order.indexOf('large-99') < 500, `its last one is at ${order.indexOf('large-99')} of ${order.length}`);
});

test('near the highest priority all tags move down: the order stays, also of what comes back later', async () => {
  await using store = await storeOn(redis, 'highest');
  await using queues = new Queues(store);
  const { client, keys } = store;
  const queue = keys.queue(QUEUE);
  // One job, so that the queue is not empty, at the tags of a queue that has carried two million.
  await add(queues, 'late', 0, 1);
  const now = LIMITS.queuePriority - 7;
  await client.hset(`${queue}:late-0`, 'priority', String(now + 1));
  await client.zadd(`${queue}:delayed`, 1, 'late-0');
  await client.zrem(`${queue}:prioritized`, 'late-0');
  await client.hset(keys.startTags(QUEUE), '#now', String(now));
  await add(queues, 'a', 0, 4);
  await add(queues, 'b', 0, 2);
  // Four more do not fit below the highest.
  await add(queues, 'a', 4, 4);
  await add(queues, 'b', 2, 2);
  assert.deepEqual(await waiting(store), [
    'a-0',
    'b-0',
    'a-1',
    'b-1',
    'a-2',
    'b-2',
    'a-3',
    'b-3',
    'a-4',
    'a-5',
    'a-6',
    'a-7',
  ]);
  const priority = async (id: string) => Number(await client.hget(`${queue}:${id}`, 'priority'));
  assert.ok((await priority('a-7')) < 20, 'they are low again');
  assert.equal(await priority('late-0'), 1, 'what is due later comes back at its own place');
  const scores = await client.zrange(`${queue}:prioritized`, '0', '-1', 'WITHSCORES');
  for (let at = 0; at < scores.length; at += 2) {
    assert.equal(Math.floor(Number(scores[at + 1]) / 2 ** 32), await priority(scores[at] ?? ''), scores[at]);
  }
});

test('a queue whose jobs are all delayed or worked on does not start its tags anew', async () => {
  await using store = await storeOn(redis, 'anew');
  await using queues = new Queues(store);
  const { client, keys } = store;
  await add(queues, 'a', 0, 3);
  await client.hset(keys.startTags(QUEUE), '#now', '3');
  await client.del(`${keys.queue(QUEUE)}:prioritized`);
  await client.zadd(`${keys.queue(QUEUE)}:delayed`, 1, 'a-2');
  const firstTag = async (): Promise<number> =>
    (await queues.takeTags(QUEUE, { tenant: 'b', batch: 'b', documents: 1 }))(0);
  assert.equal(await firstTag(), 4, 'behind the one that comes back');
  await client.del(`${keys.queue(QUEUE)}:delayed`);
  assert.equal(await firstTag(), 1);
  assert.deepEqual(await client.keys(`${keys.startTags(QUEUE)}:*`), [`${keys.startTags(QUEUE)}:b`]);
});

test('what is written waits for Redis, ends when the process must, and throws what will not pass', async () => {
  await using store = await storeOn(redis, 'waiting');
  const never = new AbortController().signal;
  let writes = 0;
  const answer = await untilRecovered(async () => ((writes += 1) < 3 ? 'RECOVERING' : 'WROTE'), never);
  assert.deepEqual([answer, writes], ['WROTE', 3]);
  const wrong = async (): Promise<'WROTE'> => {
    await store.client.set('a string', 'x');
    await store.client.hset('a string', 'field', 'x');
    return 'WROTE';
  };
  await assert.rejects(untilRecovered(wrong, never), /WRONGTYPE/);
  const gone = async (): Promise<'WROTE'> => {
    throw new Error('Missing key for job 1. updateData');
  };
  await assert.rejects(untilRecovered(gone, never), /Missing key/, 'it would be missing the next time too');
  const away = async (): Promise<'WROTE'> => {
    throw new Error('Connection is closed.');
  };
  assert.equal(await untilRecovered(away, AbortSignal.timeout(200)), 'STOPPED');
});

test('what a clock that had jumped put off is woken, and what waits as long as it should is not', async () => {
  await using store = await storeOn(redis, 'clocks');
  await using queues = new Queues(store);
  const { client, keys } = store;
  const queue = keys.queue(QUEUE);
  await add(queues, 'a', 0, 6);
  const [seconds] = (await client.time()) as unknown as [string, string];
  const now = Number(seconds) * 1_000;
  const delay = async (document: number, putOffAtMs: number, delayMs: number): Promise<void> => {
    await client.zrem(`${queue}:prioritized`, `a-${document}`);
    await client.hset(`${queue}:a-${document}`, 'delay', delayMs);
    await client.zadd(`${queue}:delayed`, (putOffAtMs + delayMs) * 0x1000, `a-${document}`);
  };
  await delay(0, now + 8 * 86_400_000, 1_000);
  await delay(1, now + 60_000, 500);
  await delay(2, now - 86_400_000, 500);
  await delay(3, now, 3_600_000);
  await delay(4, now, 10_000);
  assert.equal(await queues.wakeMisdated(QUEUE), 3);
  assert.deepEqual((await waiting(store)).toSorted(), ['a-0', 'a-1', 'a-2', 'a-5']);
  assert.equal(await queues.wakeMisdated(QUEUE), 0);
});

test('a job that is in no state of its queue is lost: its document can be enqueued again', async () => {
  await using store = await storeOn(redis, 'no-state');
  await using queues = new Queues(store);
  const { client, keys } = store;
  const queue = keys.queue(QUEUE);
  await add(queues, 'a', 0, 7);
  const move = async (document: number, write: (id: string) => Promise<unknown>): Promise<void> => {
    await client.zrem(`${queue}:prioritized`, `a-${document}`);
    await write(`a-${document}`);
  };
  await move(1, (id) => client.zadd(`${queue}:delayed`, 1, id));
  await move(2, (id) => client.lpush(`${queue}:active`, id));
  await move(3, (id) => client.lpush(`${queue}:wait`, id));
  await move(4, (id) => client.set(`${queue}:${id}:lock`, 'of a worker that is gone'));
  await move(5, (id) => client.del(`${queue}:${id}`));
  await client.hset(keys.page('a', 0), 6, 'o{}');
  const where = { first: 0, enqueuedDocuments: 7, tiers: [QUEUE, 'expert.large'] };
  assert.deepEqual(await lostDocuments(store, 'a', 0, where), [4, 5]);
  await add(queues, 'a', 4, 1);
  assert.ok((await waiting(store)).includes('a-4'));
  assert.deepEqual(await lostDocuments(store, 'a', 0, where), [5]);
});

test('a queue that was first used while Redis was away just then is opened anew', async () => {
  await using proxy = await startFaultProxy({ target: redis.url.replace('redis:', 'http:') });
  await using store = await storeOn({ ...redis, url: `redis://127.0.0.1:${proxy.port}` }, 'reopened');
  await using queues = new Queues(store);
  await proxy.set({ kind: 'black_hole' });
  const first = queues.depth(QUEUE);
  await proxy.set({ kind: 'reset' });
  await assert.rejects(first);
  await proxy.set({ kind: 'pass' });
  await until(
    async () =>
      await queues.depth(QUEUE).then(
        ({ waiting: count }) => count === 0,
        () => false,
      ),
    10_000,
  );
});

test('documents in one job are counted, found, swept and dropped one by one', async () => {
  await using store = await storeOn(redis, 'bundled');
  await using queues = new Queues(store);
  const page = { batch: 'a', first: 10, documents: 40 };
  const documents = Array.from({ length: 37 }, (_, place) =>
    jobOf({ batch: 'a', document: 10 + place, place, customId: `doc-${place}` }),
  );
  await queues.add(QUEUE, documents, (at) => at + 1, { size: 16 });
  assert.deepEqual(await waiting(store), ['a-10b', 'a-26b', 'a-42b']);
  assert.deepEqual(await queues.depth(QUEUE), { waiting: 37, active: 0, delayed: 0 });
  const tags = await store.client.zrange(`${store.keys.queue(QUEUE)}:prioritized`, '0', '-1', 'WITHSCORES');
  assert.deepEqual(
    [1, 3, 5].map((at) => Math.floor(Number(tags[at]) / 0x100000000)),
    [1, 17, 33],
    'each at the tag of its first document',
  );
  const placesOf = async (places: readonly number[]) =>
    (await queues.find(QUEUE, page, places)).map(({ place }) => place);
  assert.deepEqual(await placesOf([0, 15, 16, 36, 37]), [0, 15, 16, 36]);
  const where = { first: 10, enqueuedDocuments: 40, tiers: [QUEUE, 'expert.large'] };
  assert.deepEqual(await lostDocuments(store, 'a', 0, where), [37, 38, 39]);

  // A worker has the first one. Two have left it: one for a job of its own, one for a job that Redis lost.
  const { client, keys } = store;
  const queue = keys.queue(QUEUE);
  const held = { tier: QUEUE, id: 'a-10b', token: 'token' };
  await client.zrem(`${queue}:prioritized`, held.id);
  await client.lpush(`${queue}:active`, held.id);
  await client.set(`${queue}:${held.id}:lock`, held.token);
  assert.deepEqual(await queues.depth(QUEUE), { waiting: 21, active: 16, delayed: 0 });
  const changed = { ...jobOf({ batch: 'a', document: 13, place: 3 }), usedAttempts: 1 };
  assert.equal(await writeDocument(store, { held, field: bundledField(3) }, changed), 'SAVED');
  const leavings = new Leavings(store);
  const left = await Promise.all([leavings.leave(held, [4]), leavings.leave(held, [5, 6])]);
  assert.deepEqual(left, ['LEFT', 'LEFT']);
  await queues.add(QUEUE, documents.slice(4, 5), () => 1, { afterMs: 60_000 });
  assert.deepEqual((await queues.depth(QUEUE)).delayed, 1);
  assert.deepEqual(await lostDocuments(store, 'a', 0, where), [5, 6, 37, 38, 39]);
  assert.equal((await queues.find(QUEUE, page, [3]))[0]?.usedAttempts, 1);
  assert.equal(await leavings.leave({ ...held, token: 'of another' }, [7]), 'GONE');

  await client.del(`${queue}:${held.id}:lock`);
  const all = page.documents;
  await queues.drop(
    QUEUE,
    page,
    Array.from({ length: all }, (_, place) => place),
  );
  assert.deepEqual(await queues.depth(QUEUE), { waiting: 0, active: 0, delayed: 0 });
});

test('a queue with more jobs than are looked at: its documents are estimated', async () => {
  await using store = await storeOn(redis, 'estimated');
  await using queues = new Queues(store);
  const documents = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => jobOf({ batch: 'a', document: from + at, place: at }));
  for (let from = 0; from < 32_000; from += 8_000)
    await queues.add(QUEUE, documents(from, 8_000), () => 1, { size: 4 });
  assert.deepEqual(await queues.depth(QUEUE), { waiting: 32_000, active: 0, delayed: 0 });
  await queues.add(QUEUE, documents(32_000, 4_000), () => 2);
  const { waiting: estimated } = await queues.depth(QUEUE);
  assert.ok(Math.abs(estimated - 36_000) < 1_800, `${estimated}`);
  const rough = await queues.waiting(QUEUE);
  assert.ok(Math.abs(rough - 36_000) < 1_800, `${rough}`);
});
