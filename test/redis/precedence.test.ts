import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { withDraft } from '@spillway/core';
import { dealTags, enqueuePage, HandOffs, Queues, type RedisStore } from '@spillway/redis';
import { draftOf, jobOf, rulesOf } from '../support/jobs.ts';
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

/** The ids that wait, next one first, and the priority that each job says of itself. */
async function waiting({ client, keys }: RedisStore, tier: string) {
  const scores = await client.zrange(`${keys.queue(tier)}:prioritized`, '0', '-1', 'WITHSCORES');
  const ids = scores.filter((_, at) => at % 2 === 0);
  const tags = scores.filter((_, at) => at % 2 === 1).map((score) => Math.floor(Number(score) / 2 ** 32));
  const own = await Promise.all(ids.map((id) => client.hget(`${keys.queue(tier)}:${id}`, 'priority')));
  assert.deepEqual(own.map(Number), tags);
  return ids;
}

test('documents with precedence go before the others of their tenant, and other tenants stay where they were', async () => {
  await using store = await storeOn(redis, 'dealt');
  await using queues = new Queues(store);
  await add(queues, 't', 'large', 5);
  await add(queues, 'o', 'other', 5);
  await add(queues, 't', 'due', 2);
  await add(queues, 't', 'early', 1);
  const first = await waiting(store, 'drafter.small');
  assert.notEqual(first[0], 'early-0');
  const moved = await dealTags(store, 'drafter.small', [{ first: ['early', 'due'], others: ['large'] }]);
  assert.ok(moved > 0);
  const dealt = await waiting(store, 'drafter.small');
  const isOther = (id: string): boolean => id.startsWith('other');
  assert.deepEqual(
    dealt.map((id) => isOther(id)),
    first.map((id) => isOther(id)),
  );
  const own = dealt.filter((id) => !isOther(id));
  assert.deepEqual(own.slice(0, 3), ['early-0', 'due-0', 'due-1']);
  assert.deepEqual(own.slice(3).toSorted(), ['large-0', 'large-1', 'large-2', 'large-3', 'large-4']);
  assert.equal(await dealTags(store, 'drafter.small', [{ first: ['early', 'due'], others: ['large'] }]), 0);
  // What is added later has precedence from the next time on.
  await add(queues, 't', 'early', 2);
  await dealTags(store, 'drafter.small', [{ first: ['early'], others: ['large', 'due'] }]);
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
    { first: ['a-due'], others: ['a-large'] },
    { first: ['b-due'], others: ['b-large'] },
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
      const job = withDraft(jobOf({ batch, document }), draftOf());
      assert.equal(await new HandOffs(store, queues).prepare({ job, rules: rulesOf() })(), 'GO');
    }
  };
  await handOff('large', 3);
  await handOff('due', 2);
  assert.notDeepEqual((await waiting(store, 'expert.large')).slice(0, 2), ['due-0', 'due-1']);
  await dealTags(store, 'expert.large', [{ first: ['due'], others: ['large'] }]);
  const dealt = await waiting(store, 'expert.large');
  assert.deepEqual(dealt.slice(0, 2), ['due-0', 'due-1']);
  assert.deepEqual(dealt.slice(2).toSorted(), ['large-0', 'large-1', 'large-2']);
});

test('a long queue is dealt in many goes', async () => {
  await using store = await storeOn(redis, 'long');
  await using queues = new Queues(store);
  await add(queues, 't', 'large', 2_100);
  await add(queues, 't', 'due', 600);
  await dealTags(store, 'drafter.small', [{ first: ['due'], others: ['large'] }]);
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
  await dealTags(store, 'drafter.small', [{ first: ['due'], others: ['large'] }]);
  assert.equal(await store.client.exists(key), 0);
});
