import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { withDraft } from '@spillway/core';
import { dealTags, enqueuePage, HandOffs, Queues, startJob, type RedisStore } from '@spillway/redis';
import { draftOf, jobOf, rulesOf } from '../support/jobs.ts';
import { handingOff } from '../support/hand-off.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

async function add(queues: Queues, tenant: string, batch: string, documents: number): Promise<void> {
  const jobs = Array.from({ length: documents }, (_, document) => jobOf({ batch, document }));
  await queues.add('drafter.small', jobs, await queues.takeTags('drafter.small', { tenant, batch, documents }));
}

/** The tags of the jobs that wait, next one first, which each job says of itself, too. */
async function tagsIn({ client, keys }: RedisStore, tier: string): Promise<Map<string, number>> {
  const scores = await client.zrange(`${keys.queue(tier)}:prioritized`, '0', '-1', 'WITHSCORES');
  const ids = scores.filter((_, at) => at % 2 === 0);
  const tags = scores.filter((_, at) => at % 2 === 1).map((score) => Math.floor(Number(score) / 2 ** 32));
  const own = await Promise.all(ids.map((id) => client.hget(`${keys.queue(tier)}:${id}`, 'priority')));
  assert.deepEqual(own.map(Number), tags);
  return new Map(ids.map((id, at) => [id, tags[at] ?? 0]));
}

const waiting = async (store: RedisStore, tier: string): Promise<string[]> => [...(await tagsIn(store, tier)).keys()];

test('documents with precedence go before the others of their tenant, and other tenants stay where they were', async () => {
  await using store = await storeOn(redis, 'dealt');
  await using queues = new Queues(store);
  await add(queues, 't', 'large', 5);
  await add(queues, 'o', 'other', 5);
  await add(queues, 't', 'due', 2);
  await add(queues, 't', 'early', 1);
  const first = await tagsIn(store, 'drafter.small');
  assert.notEqual([...first.keys()][0], 'early-0');
  const moved = await dealTags(store, 'drafter.small', [{ tenant: 't', first: ['early', 'due'], others: ['large'] }]);
  assert.ok(moved > 0);
  const dealt = await tagsIn(store, 'drafter.small');
  const isOther = (id: string): boolean => id.startsWith('other');
  const others = (tags: ReadonlyMap<string, number>) => [...tags].filter(([id]) => isOther(id));
  assert.deepEqual(others(dealt), others(first));
  const own = [...dealt.keys()].filter((id) => !isOther(id));
  assert.deepEqual(own.slice(0, 3), ['early-0', 'due-0', 'due-1']);
  assert.deepEqual(own.slice(3).toSorted(), ['large-0', 'large-1', 'large-2', 'large-3', 'large-4']);
  assert.equal(
    await dealTags(store, 'drafter.small', [{ tenant: 't', first: ['early', 'due'], others: ['large'] }]),
    0,
  );
  // What is added later has precedence from the next time on.
  await add(queues, 't', 'early', 2);
  await dealTags(store, 'drafter.small', [{ tenant: 't', first: ['early'], others: ['large', 'due'] }]);
  const later = (await waiting(store, 'drafter.small')).filter((id) => !isOther(id));
  assert.deepEqual(later.slice(0, 2), ['early-0', 'early-1']);
});

test('tenants are dealt each its own, and a batch that nobody named stays', async () => {
  await using store = await storeOn(redis, 'each');
  await using queues = new Queues(store);
  await add(queues, 'a', 'a-large', 3);
  await add(queues, 'a', 'a-due', 1);
  await add(queues, 'b', 'b-large', 3);
  await add(queues, 'b', 'b-due', 1);
  await add(queues, 'c', 'c-unnamed', 4);
  const first = await waiting(store, 'drafter.small');
  await dealTags(store, 'drafter.small', [
    { tenant: 'a', first: ['a-due'], others: ['a-large'] },
    { tenant: 'b', first: ['b-due'], others: ['b-large'] },
  ]);
  const dealt = await waiting(store, 'drafter.small');
  assert.deepEqual(
    dealt.map((id) => id[0]),
    first.map((id) => id[0]),
  );
  const of = (tenant: string): string[] => dealt.filter((id) => id.startsWith(tenant));
  assert.deepEqual([of('a')[0], of('a').length], ['a-due-0', 4]);
  assert.deepEqual([of('b')[0], of('b').length], ['b-due-0', 4]);
});

test('at the expert too: what was handed off later goes first', async () => {
  await using store = await storeOn(redis, 'handed-off');
  await using queues = new Queues(store);
  await markRecovered(store);
  const handOff = async (batch: string, documents: number): Promise<void> => {
    await openBatch(store, batch, documents, 1);
    await enqueuePage(store, batch, 0, { first: 0, documents, offset: 0, bytes: 100, lineBefore: 0 }, 100);
    for (let document = 0; document < documents; document += 1) {
      const drafted = { job: withDraft(jobOf({ batch, document }), draftOf()), rules: rulesOf() };
      assert.equal(
        await new HandOffs(store, queues).prepare(drafted, await handingOff({ store, queues }, [drafted.job]))(),
        'GO',
      );
    }
  };
  await handOff('large', 3);
  await handOff('due', 2);
  assert.notDeepEqual((await waiting(store, 'expert.large')).slice(0, 2), ['due-0', 'due-1']);
  await dealTags(store, 'expert.large', [{ tenant: 't', first: ['due'], others: ['large'] }]);
  const dealt = await waiting(store, 'expert.large');
  assert.deepEqual(dealt.slice(0, 2), ['due-0', 'due-1']);
  assert.deepEqual(dealt.slice(2).toSorted(), ['large-0', 'large-1', 'large-2']);
});

test('a long queue is dealt in many goes', async () => {
  await using store = await storeOn(redis, 'long');
  await using queues = new Queues(store);
  await add(queues, 't', 'large', 2_100);
  await add(queues, 't', 'due', 600);
  await dealTags(store, 'drafter.small', [{ tenant: 't', first: ['due'], others: ['large'] }]);
  const dealt = await waiting(store, 'drafter.small');
  assert.deepEqual(
    dealt.slice(0, 600),
    Array.from({ length: 600 }, (_, document) => `due-${document}`),
  );
  assert.equal(new Set(dealt).size, 2_700);
});

test('a job of which Redis lost the data is not made anew by being dealt', async () => {
  await using store = await storeOn(redis, 'lost-data');
  await using queues = new Queues(store);
  await add(queues, 't', 'large', 2);
  await add(queues, 't', 'due', 1);
  const key = `${store.keys.jobs('drafter.small')}large-0`;
  await store.client.del(key);
  await dealTags(store, 'drafter.small', [{ tenant: 't', first: ['due'], others: ['large'] }]);
  assert.equal(await store.client.exists(key), 0);
});

test('of a tenant whose batches come one after the other, and of one that has a single batch, each has its half', async () => {
  await using store = await storeOn(redis, 'halves');
  await using queues = new Queues(store);
  for (const batch of ['first', 'second', 'third']) await add(queues, 't', batch, 40);
  await add(queues, 'o', 'other', 120);
  const ofOther = async (among: number): Promise<number> =>
    (await waiting(store, 'drafter.small')).slice(0, among).filter((id) => id.startsWith('other')).length;
  assert.ok((await ofOther(60)) < 25, 'what was enqueued first has its tags');
  const order = { tenant: 't', first: [], others: ['first', 'second', 'third'] };
  assert.ok((await dealTags(store, 'drafter.small', [order])) > 0);
  assert.ok(Math.abs((await ofOther(60)) - 30) <= 1, `${await ofOther(60)} of 60`);
  assert.ok(Math.abs((await ofOther(200)) - 100) <= 1, `${await ofOther(200)} of 200`);
  const own = [...(await tagsIn(store, 'drafter.small'))].filter(([id]) => !id.startsWith('other'));
  assert.deepEqual(
    own.map(([, tag]) => tag),
    Array.from({ length: 120 }, (_, at) => at + 1),
  );
  for (const batch of ['first', 'second', 'third']) {
    const places = own.filter(([id]) => id.startsWith(batch)).map(([id]) => Number(id.split('-')[1]));
    assert.deepEqual(
      places,
      [...places].toSorted((left, right) => left - right),
      'each in its own order',
    );
  }
  assert.equal(await dealTags(store, 'drafter.small', [order]), 0);
  // What comes later of one of them stands behind what that has.
  const lastOfFirst = Math.max(...own.filter(([id]) => id.startsWith('first')).map(([, tag]) => tag));
  const later = await queues.takeTags('drafter.small', { tenant: 't', batch: 'first', documents: 1 });
  assert.ok(later(0) > lastOfFirst, `${later(0)} after ${lastOfFirst}`);
});

test('where one of a tenant’s batches has gone the others close up, and a bundle stands for as many as it has', async () => {
  await using store = await storeOn(redis, 'closed-up');
  await using queues = new Queues(store);
  const addBundles = async (batch: string): Promise<void> => {
    const documents = Array.from({ length: 64 }, (_, document) => jobOf({ batch, document, place: document }));
    const tagOf = await queues.takeTags('drafter.small', { tenant: 't', batch, documents: documents.length });
    await queues.add('drafter.small', documents, tagOf, { size: 16 });
  };
  for (const batch of ['a', 'b', 'c']) await addBundles(batch);
  const order = { tenant: 't', first: [], others: ['a', 'b', 'c'] };
  await dealTags(store, 'drafter.small', [order]);
  const spaced = [...(await tagsIn(store, 'drafter.small')).values()];
  assert.deepEqual(
    spaced,
    Array.from({ length: 12 }, (_, at) => 1 + 16 * at),
  );
  const places = Array.from({ length: 64 }, (_, at) => at);
  await queues.drop('drafter.small', { batch: 'a', first: 0, documents: 64 }, places);
  await dealTags(store, 'drafter.small', [{ tenant: 't', first: ['c'], others: ['b'] }]);
  const closedUp = await tagsIn(store, 'drafter.small');
  assert.deepEqual([...closedUp.keys()].slice(0, 4), ['c-0b', 'c-16b', 'c-32b', 'c-48b']);
  const [first = 0] = closedUp.values();
  assert.deepEqual(
    [...closedUp.values()],
    Array.from({ length: 8 }, (_, at) => first + 16 * at),
  );
});

test('a job that comes back to its old place takes none of its tenant along, before others', async () => {
  await using store = await storeOn(redis, 'came-back');
  await using queues = new Queues(store);
  const { client, keys } = store;
  await add(queues, 't', 'large', 100);
  await add(queues, 'o', 'other', 100);
  // The queue is at 60: what stood before was taken up, and one of it came back.
  const queue = `${keys.queue('drafter.small')}:prioritized`;
  const taken = [...(await tagsIn(store, 'drafter.small'))].filter(([id, tag]) => tag <= 60 && id !== 'large-9');
  await client.zrem(queue, ...taken.map(([id]) => id));
  await client.hset(keys.startTags('drafter.small'), '#now', 60);
  await add(queues, 't', 'late', 30);
  const seen = await tagsIn(store, 'drafter.small');
  await dealTags(store, 'drafter.small', [{ tenant: 't', first: [], others: ['large', 'late'] }]);
  const tags = await tagsIn(store, 'drafter.small');
  assert.equal(tags.get('large-9'), seen.get('large-9'));
  const own = [...tags].filter(([id]) => !id.startsWith('other') && id !== 'large-9');
  assert.deepEqual(
    own.map(([, tag]) => tag),
    Array.from({ length: 70 }, (_, at) => 61 + at),
  );
});

/** Takes up the next jobs of a queue; answers their ids. */
async function takeUp(store: RedisStore, batchOf: (id: string) => string, count: number): Promise<string[]> {
  const tier = 'drafter.small';
  const ids = (await waiting(store, tier)).slice(0, count);
  const tags = await tagsIn(store, tier);
  for (const id of ids) {
    const job = jobOf({ batch: batchOf(id), document: Number(id.split('-')[1]) });
    const taking = { priority: tags.get(id) ?? 0, answered: null, callMs: 1_000, losses: 0 };
    await startJob(store, { tier, id }, [job], taking);
    await store.client.zrem(`${store.keys.queue(tier)}:prioritized`, id);
  }
  return ids;
}

test('the row of a tenant begins where what it was given ends: what ended before all that is left is closed up, what is paused is not', async () => {
  await using store = await storeOn(redis, 'in-front');
  await using queues = new Queues(store);
  const { client, keys } = store;
  await markRecovered(store);
  for (const batch of ['ended', 'left', 'other']) {
    await openBatch(store, batch, 40, 1);
    await enqueuePage(store, batch, 0, { first: 0, documents: 40, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  }
  const named = (id: string): string => id.split('-')[0] ?? '';
  for (const [tenant, batch] of [
    ['default', 'ended'],
    ['default', 'left'],
    ['o', 'other'],
  ] as const) {
    await add(queues, tenant, batch, 40);
  }
  await client.hset(keys.batch('other'), 'tenant', 'o');
  const row = { tenant: 'default', first: ['ended'], others: ['left'] };
  await dealTags(store, 'drafter.small', [row]);
  const later = { ...row, first: [] };
  const paused = { ...later, others: ['ended', 'left'] };
  // Eight of each: documents of the batch that is to end, then paused.
  assert.deepEqual((await takeUp(store, named, 16)).filter((id) => id.startsWith('ended')).length, 8);
  await client.hset(keys.batch('ended'), 'paused', '1');
  await takeUp(store, named, 4);
  assert.equal(await dealTags(store, 'drafter.small', [paused]), 0, 'it would be given those tags twice');
  const places = Array.from({ length: 40 }, (_, at) => at);
  await queues.drop('drafter.small', { batch: 'ended', first: 0, documents: 40 }, places);
  const firstOf = async (): Promise<number> =>
    [...(await tagsIn(store, 'drafter.small'))].find(([id]) => id.startsWith('left'))?.[1] ?? 0;
  assert.equal(await firstOf(), 41);
  assert.ok((await dealTags(store, 'drafter.small', [later])) > 0);
  assert.equal(await firstOf(), 11);
  assert.equal(await dealTags(store, 'drafter.small', [later]), 0);
  const both = (await waiting(store, 'drafter.small')).slice(0, 20).map(named);
  assert.deepEqual(
    [both.filter((one) => one === 'left').length, both.filter((one) => one === 'other').length],
    [10, 10],
  );
});

test('what is moved down while its tags are dealt stays where it is', async () => {
  await using store = await storeOn(redis, 'moved-down');
  await using queues = new Queues(store);
  for (const batch of ['first', 'second']) await add(queues, 't', batch, 40);
  const key = `${store.keys.queue('drafter.small')}:prioritized`;
  const { client } = store;
  const evalsha = client.evalsha.bind(client);
  let runs = 0;
  client.evalsha = ((...given: Parameters<typeof evalsha>) => {
    runs += 1;
    // The jobs were read, and none has been moved: meanwhile all go elsewhere, as near the highest tag.
    return runs === 2 ? shift().then(() => evalsha(...given)) : evalsha(...given);
  }) as typeof client.evalsha;
  const shift = async (): Promise<void> => {
    for (const [id, tag] of await tagsIn(store, 'drafter.small')) {
      await client.zadd(key, (tag + 1_000) * 2 ** 32, id);
      await client.hset(`${store.keys.jobs('drafter.small')}${id}`, 'priority', tag + 1_000);
    }
  };
  const seen = await tagsIn(store, 'drafter.small');
  const order = { tenant: 't', first: [], others: ['first', 'second'] };
  assert.equal(await dealTags(store, 'drafter.small', [order]), 0);
  const now = await tagsIn(store, 'drafter.small');
  assert.deepEqual(new Set(now.values()), new Set([...seen.values()].map((tag) => tag + 1_000)));
  assert.equal(await client.hget(store.keys.startTags('drafter.small'), 't'), '80', 'nor is its row');
});
