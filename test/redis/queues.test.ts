import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LIMITS, nextStageJob, withDraft, type DocumentJob } from '@spillway/core';
import {
  enqueuePage,
  bundledField,
  HandOffs,
  Heartbeat,
  Leavings,
  writeDocument,
  lostDocuments,
  pagesInFlight,
  Queues,
  untilRecovered,
  type DocumentField,
  type RedisStore,
} from '@spillway/redis';
import { answerOf, draftOf, jobOf, rulesOf, threeStageRules } from '../support/jobs.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';
import { until } from '../support/system.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const PAGE = { batch: 'a', first: 0, documents: 8 };
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

test('a hand-off charges the draft to the capacity of its page', async () => {
  await using store = await storeOn(redis, 'charged');
  await using queues = new Queues(store);
  await markRecovered(store);
  await openBatch(store, 'a', 1, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents: 1, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  const draft = draftOf({ answer: answerOf({ body: { text: 'x'.repeat(5_000) } }) });
  const job = withDraft(jobOf({ batch: 'a', document: 0 }), draft);
  const document = { job, rules: rulesOf() };
  const handOffs = new HandOffs(store, queues);
  assert.equal(await handOffs.prepare(document)(), 'GO');
  const [next] = await queues.find('expert.large', PAGE, [0]);
  assert.deepEqual([next?.stage, next?.drafts[0]?.answer], [1, draft.answer]);
  assert.deepEqual(nextStageJob(document, 0).drafts, [{ ...draft, handedOffAtMs: 0 }]);
  const [page] = await pagesInFlight(store);
  assert.ok((page?.bytes ?? 0) >= 5_100, `${page?.bytes}`);
});

test('a hand-off goes to the next stage that can take the document, and each draft is charged once', async () => {
  await using store = await storeOn(redis, 'stages');
  await using queues = new Queues(store);
  await markRecovered(store);
  await openBatch(store, 'a', 2, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents: 2, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  const draft = draftOf({ answer: answerOf({ body: { text: 'x'.repeat(5_000) } }) });
  const bytes = async (): Promise<number> => (await pagesInFlight(store))[0]?.bytes ?? 0;
  const rules = threeStageRules();
  const handOffs = new HandOffs(store, queues);
  const first = withDraft(jobOf({ batch: 'a', document: 0 }), draft);
  assert.equal(await handOffs.prepare({ job: first, rules })(), 'GO');
  const afterOne = await bytes();
  const [medium] = await queues.find('drafter.medium', PAGE, [0]);
  assert.equal(medium?.stage, 1);
  assert.ok(medium !== undefined);
  const second = withDraft(medium, draftOf({ model: 'medium' }));
  assert.equal(await handOffs.prepare({ job: second, rules })(), 'GO');
  assert.ok((await bytes()) > afterOne && (await bytes()) < afterOne + 5_000, 'the first draft is not charged again');
  const [large] = await queues.find('expert.large', PAGE, [0]);
  assert.deepEqual([large?.stage, large?.drafts.map(({ model }) => model)], [2, ['small', 'medium']]);

  const skipping = threeStageRules({ limits: [{}, { tools: false }] });
  const body = { ...first.body, tools: [{ type: 'function', function: { name: 'f' } }] };
  const other = withDraft(jobOf({ batch: 'a', document: 1, body }), draft);
  assert.equal(await handOffs.prepare({ job: other, rules: skipping })(), 'GO');
  assert.deepEqual(await queues.find('drafter.medium', PAGE, [1]), []);
  const [skipped] = await queues.find('expert.large', PAGE, [1]);
  const reasons = skipped?.drafts.map(({ reason }) => reason);
  assert.deepEqual([skipped?.stage, reasons], [2, ['low_confidence', 'needs_tools']]);
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
});

/** A page of eight documents, and experts that are quick. */
async function readyToHandOff(store: RedisStore, tier: string): Promise<void> {
  await markRecovered(store);
  await openBatch(store, 'a', 8, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents: 8, offset: 0, bytes: 800, lineBefore: 0 }, 100);
  await new Heartbeat(store, tier).beat({ secondsPerDocument: 0.01, paused: null, concurrency: 16 });
}

const drafted = (document: number) => ({
  job: withDraft(jobOf({ batch: 'a', document }), draftOf({ handedOffAtMs: null })),
  rules: rulesOf(),
});

test('drafts of a page that are handed off together are one job, and each goes by itself where it was on its way before', async () => {
  await using store = await storeOn(redis, 'together');
  await using queues = new Queues(store);
  const tier = 'expert.large';
  await readyToHandOff(store, tier);
  const handOffs = new HandOffs(store, queues);
  const four = [1, 3, 4, 6].map((document) => handOffs.prepare(drafted(document)));
  assert.deepEqual(await Promise.all(four.map((handOff) => handOff())), ['GO', 'GO', 'GO', 'GO']);
  const ids = () => store.client.zrange(`${store.keys.queue(tier)}:prioritized`, '0', '-1');
  assert.deepEqual(await ids(), ['a-1b']);
  assert.deepEqual(await queues.depth(tier), { waiting: 4, active: 0, delayed: 0 });
  const found = await queues.find(tier, PAGE, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(
    found.map(({ place, stage }) => [place, stage]),
    [1, 3, 4, 6].map((place) => [place, 1]),
  );
  const again = [1, 2].map((document) => handOffs.prepare(drafted(document), { isAgain: true }));
  await Promise.all(again.map((handOff) => handOff()));
  assert.deepEqual((await ids()).toSorted(), ['a-1', 'a-1b', 'a-2']);
});

test('drafts are written into their jobs as they are handed off, unless those went to somebody else, who hands them off too', async () => {
  await using store = await storeOn(redis, 'written');
  await using queues = new Queues(store);
  const { client, keys } = store;
  await readyToHandOff(store, 'expert.large');
  const bundle = { tier: QUEUE, id: 'a-0b', token: 'own' };
  const own = { tier: QUEUE, id: 'a-5', token: 'own' };
  const others = { tier: QUEUE, id: 'a-6', token: 'own' };
  const gone = { tier: QUEUE, id: 'a-7', token: 'own' };
  for (const { id } of [bundle, own, others]) await client.hset(`${keys.jobs(QUEUE)}${id}`, 'data', '{}');
  for (const { id } of [bundle, own, gone]) await client.set(`${keys.jobs(QUEUE)}${id}:lock`, 'own');
  await client.set(`${keys.jobs(QUEUE)}${others.id}:lock`, 'of another');
  const fields = [
    { held: bundle, field: bundledField(1) },
    { held: bundle, field: bundledField(2) },
    { held: own, field: 'data' },
    { held: others, field: 'data' },
    { held: gone, field: 'data' },
  ];
  const said: string[] = [];
  const handOffs = new HandOffs(store, queues);
  const handedOff = [1, 2, 5, 6, 7].map((document, at) => {
    const onWritten = (written: string): void => void said.push(`${document} ${written}`);
    return handOffs.prepare(drafted(document), { draftIn: fields[at] as DocumentField, onWritten });
  });
  assert.deepEqual(new Set(await Promise.all(handedOff.map((handOff) => handOff()))), new Set(['GO']));
  assert.deepEqual(said, ['1 SAVED', '2 SAVED', '5 SAVED', '6 GONE', '7 GONE']);
  const ids = await client.zrange(`${keys.queue('expert.large')}:prioritized`, '0', '-1');
  assert.deepEqual(ids.toSorted(), ['a-1b', 'a-6', 'a-7'], 'one job of three, and each whose job is gone by itself');
  const written = await client.hmget(`${keys.jobs(QUEUE)}a-0b`, 'data', bundledField(1), bundledField(2));
  const drafts = written.map((text) => (JSON.parse(text ?? '') as Partial<DocumentJob>).drafts?.length ?? 0);
  assert.deepEqual(drafts, [0, 1, 1]);
  assert.deepEqual(await client.hkeys(`${keys.jobs(QUEUE)}a-6`), ['data']);
  assert.equal(await client.hget(`${keys.jobs(QUEUE)}a-6`, 'data'), '{}');
  assert.equal(await client.exists(`${keys.jobs(QUEUE)}a-7`), 0);
});

test('drafts that went together and whose jobs Redis did not confirm are the same jobs when it does', async () => {
  await using store = await storeOn(redis, 'unconfirmed');
  await using queues = new Queues(store);
  const tier = 'expert.large';
  await readyToHandOff(store, tier);
  const handOffs = new HandOffs(store, queues);
  queues.depth = () => assert.fail('what waits does not matter, and to count it takes Redis milliseconds');
  const addToQueue = queues.add.bind(queues);
  let adds = 0;
  queues.add = async (...given) => {
    adds += 1;
    // Before Redis has them, and when it has them already.
    if (adds > 1) await addToQueue(...given);
    if (adds < 4) throw new Error('Connection is closed.');
  };
  const ids = () => store.client.zrange(`${store.keys.queue(tier)}:prioritized`, '0', '-1');
  const handOff = async (document: number): Promise<string> => {
    return await untilRecovered(handOffs.prepare(drafted(document)), new AbortController().signal);
  };
  assert.deepEqual(await Promise.all([1, 3, 4, 6].map(handOff)), ['GO', 'GO', 'GO', 'GO']);
  assert.deepEqual(await ids(), ['a-1b']);
  assert.equal(adds, 4, 'once for all of them, each time');
});
