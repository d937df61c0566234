import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  addCounts,
  NO_COUNTS,
  stageCounter,
  writePage,
  type Counts,
  type PagePlan,
  type Result,
  type StageCounter,
  readCounts,
} from '@spillway/core';
import { beginRecovery, enqueuePage, markSealed, readBatch, recount, settle, type RedisStore } from '@spillway/redis';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { beginAnew, markRecovered, openBatch, storeOn } from '../support/stores.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const PAGE = 4;
const plan: PagePlan = { first: 0, documents: PAGE, offset: 0, bytes: 100, lineBefore: 0 };

/** Counts of stages of the cascade `test`: the stage from 0, the counter, and how many. */
const counted = (...given: readonly [stage: number, counter: StageCounter, count: number][]): Partial<Counts> =>
  Object.fromEntries(given.map(([stage, counter, count]) => [stageCounter('test', stage, counter), count]));

/** The counters that a batch has in Redis; those that are 0 say nothing. */
const countsOf = async (store: RedisStore, id: string): Promise<Counts> => {
  const counts = (await readBatch(store, id))?.counts ?? NO_COUNTS;
  const some = Object.entries(counts).filter(([name, count]) => count !== 0 || name in NO_COUNTS);
  return Object.fromEntries(some) as Counts;
};

const withCounts = (counts: Partial<Counts>): Result => ({
  line: { part: 'output', text: '{}' },
  counts,
  cascade: 'test',
  times: { stages: [], sequentialMs: null, totalMs: 0 },
});

test('the counters of a sealed page are those of its footer: what only Redis counted goes, what only the footer has comes', async () => {
  await using store = await storeOn(redis, 'sealing');
  await markRecovered(store);
  await openBatch(store, 'i', 2 * PAGE, 2);
  for (const page of [0, 1]) await enqueuePage(store, 'i', page, plan, 100);
  const settled = counted([0, 'accepted', 1], [0, 'nanoUsd', 7], [1, 'answered', 2]);
  for (const page of [0, 1]) {
    await settle(store, { batch: 'i', page, place: 0 }, withCounts({ completed: 1, ...settled }));
  }
  const sums = { completed: 3, escalated: 2, ...counted([0, 'accepted', 2], [0, 'escalated', 2], [2, 'answered', 2]) };
  const { footer } = writePage(0, [], { counts: addCounts(NO_COUNTS, sums), waits: {} });
  assert.equal(await markSealed(store, 'i', footer), 'SEALED');
  assert.deepEqual(await countsOf(store, 'i'), {
    ...NO_COUNTS,
    completed: 4,
    escalated: 2,
    ...counted([0, 'accepted', 3], [0, 'escalated', 2], [0, 'nanoUsd', 7], [1, 'answered', 2], [2, 'answered', 2]),
  });
  // The other page had counted the same; what its footer lacks is gone.
  const none = writePage(1, [], { counts: NO_COUNTS, waits: {} });
  assert.equal(await markSealed(store, 'i', none.footer), 'SEALED');
  const left = { completed: 3, escalated: 2, ...counted([0, 'accepted', 2], [0, 'escalated', 2], [2, 'answered', 2]) };
  assert.deepEqual(await countsOf(store, 'i'), { ...NO_COUNTS, ...left });
});

test('a batch is counted anew from its footers and its open pages, of whichever stages each of them knows', async () => {
  await using store = await storeOn(redis, 'counting');
  const { client, keys } = store;
  await markRecovered(store);
  await openBatch(store, 'k', 3 * PAGE, 3);
  for (const page of [1, 2]) await enqueuePage(store, 'k', page, plan, 100);
  const settled = [
    counted([0, 'accepted', 1], [0, 'inputTokens', 10]),
    counted([0, 'escalated', 1], [1, 'answered', 1], [1, 'nanoUsd', 2 ** 40]),
  ];
  for (const [at, counts] of settled.entries()) {
    await settle(store, { batch: 'k', page: at + 1, place: 0 }, withCounts({ completed: 1, ...counts }));
  }
  // What Redis had counted of sealed pages is wrong, and names stages that no page knows any more.
  await client.hset(keys.batch('k'), { completed: 99, [stageCounter('old', 4, 'accepted')]: 5, sealedPages: 9 });
  const footers = counted([0, 'accepted', 3], [1, 'nanoUsd', 2 ** 50], [2, 'answered', 1]);
  const recovery = await beginAnew(store);
  const sums = addCounts(NO_COUNTS, { completed: 4, escalated: 1, ...footers });
  assert.equal(await recount(store, recovery, 'k', { pages: 1, sums, open: [1, 2] }), 'RECOUNTED');
  const state = await readBatch(store, 'k');
  assert.equal(state?.sealedPages, 1);
  assert.deepEqual(await countsOf(store, 'k'), {
    ...NO_COUNTS,
    completed: 6,
    escalated: 1,
    ...counted(
      [0, 'accepted', 4],
      [0, 'inputTokens', 10],
      [0, 'escalated', 1],
      [1, 'answered', 1],
      [1, 'nanoUsd', 2 ** 50 + 2 ** 40],
      [2, 'answered', 1],
    ),
  });
  assert.equal(await client.hexists(keys.batch('k'), stageCounter('old', 4, 'accepted')), 0);
  assert.equal(
    await recount(store, { ...recovery, token: 'another' }, 'k', { pages: 0, sums: NO_COUNTS, open: [] }),
    'STALE',
  );
  assert.equal((await readBatch(store, 'k'))?.counts.completed, 6);
});

test('no recovery begins once another is over, and none counts without a page that was sealed meanwhile', async () => {
  await using store = await storeOn(redis, 'late');
  await markRecovered(store);
  await openBatch(store, 'l', PAGE, 1);
  await enqueuePage(store, 'l', 0, plan, 100);
  assert.equal(await beginRecovery(store, 'late'), null);
  const recovery = await beginAnew(store);
  const { footer } = writePage(0, [], { counts: { ...NO_COUNTS, completed: PAGE }, waits: {} });
  assert.equal(await markSealed(store, 'l', footer), 'SEALED');
  const stale = { pages: 0, sums: NO_COUNTS, open: [0] };
  assert.equal(await recount(store, recovery, 'l', stale), 'SEALED_MEANWHILE');
  assert.equal((await readBatch(store, 'l'))?.counts.completed, PAGE);
  const whole = { pages: 1, sums: readCounts(footer), open: [0] };
  assert.equal(await recount(store, recovery, 'l', whole), 'RECOUNTED');
  assert.equal((await readBatch(store, 'l'))?.counts.completed, PAGE);
});
