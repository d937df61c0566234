import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { nextStageJob, withDraft, type CascadeDocument, type DocumentJob } from '@spillway/core';
import {
  enqueuePage,
  HandOffs,
  Heartbeat,
  pagesInFlight,
  Queues,
  settle,
  startJob,
  type HandedOff,
  type HandOffOptions,
  type RedisStore,
} from '@spillway/redis';
import { handingOff, holdJob } from '../support/hand-off.ts';
import { answerOf, draftOf, jobOf, rulesOf, threeStageRules } from '../support/jobs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const PAGE = { batch: 'a', first: 0, documents: 8 };
const DRAFTER = 'drafter.small';
const EXPERT = 'expert.large';
const TAKING = { priority: 1, answered: null, callMs: 1_000, losses: 0 };

/** A batch of one page that is enqueued, of a hundred bytes. */
async function openPage(store: RedisStore, documents: number): Promise<void> {
  await markRecovered(store);
  await openBatch(store, 'a', documents, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents, offset: 0, bytes: 100, lineBefore: 0 }, 100);
}

test('a hand-off charges the draft to the capacity of its page', async () => {
  await using store = await storeOn(redis, 'charged');
  await using queues = new Queues(store);
  await openPage(store, 1);
  const draft = draftOf({ answer: answerOf({ body: { text: 'x'.repeat(5_000) } }) });
  const job = withDraft(jobOf({ batch: 'a', document: 0 }), draft);
  const document = { job, rules: rulesOf() };
  const handOffs = new HandOffs(store, queues);
  assert.equal(await handOffs.prepare(document, await handingOff({ store, queues }, [job]))(), 'GO');
  const [next] = await queues.find('expert.large', PAGE, [0]);
  assert.deepEqual([next?.stage, next?.drafts[0]?.answer], [1, draft.answer]);
  assert.deepEqual(nextStageJob(document, 0).drafts, [{ ...draft, handedOffAtMs: 0 }]);
  const [page] = await pagesInFlight(store);
  assert.ok((page?.bytes ?? 0) >= 5_100, `${page?.bytes}`);
});

test('a hand-off goes to the next stage that can take the document, and each draft is charged once', async () => {
  await using store = await storeOn(redis, 'stages');
  await using queues = new Queues(store);
  await openPage(store, 2);
  const draft = draftOf({ answer: answerOf({ body: { text: 'x'.repeat(5_000) } }) });
  const bytes = async (): Promise<number> => (await pagesInFlight(store))[0]?.bytes ?? 0;
  const rules = threeStageRules();
  const handOffs = new HandOffs(store, queues);
  const handOff = async (document: CascadeDocument, tier = DRAFTER): Promise<string> =>
    await handOffs.prepare(document, await handingOff({ store, queues, tier }, [document.job]))();
  const first = withDraft(jobOf({ batch: 'a', document: 0 }), draft);
  assert.equal(await handOff({ job: first, rules }), 'GO');
  const afterOne = await bytes();
  const [medium] = await queues.find('drafter.medium', PAGE, [0]);
  assert.equal(medium?.stage, 1);
  assert.ok(medium !== undefined);
  const second = withDraft(medium, draftOf({ model: 'medium' }));
  assert.equal(await handOff({ job: second, rules }, 'drafter.medium'), 'GO');
  assert.ok((await bytes()) > afterOne && (await bytes()) < afterOne + 5_000, 'the first draft is not charged again');
  const [large] = await queues.find('expert.large', PAGE, [0]);
  assert.deepEqual([large?.stage, large?.drafts.map(({ model }) => model)], [2, ['small', 'medium']]);

  const skipping = threeStageRules({ limits: [{}, { tools: false }] });
  const body = { ...first.body, tools: [{ type: 'function', function: { name: 'f' } }] };
  const other = withDraft(jobOf({ batch: 'a', document: 1, body }), draft);
  assert.equal(await handOff({ job: other, rules: skipping }), 'GO');
  assert.deepEqual(await queues.find('drafter.medium', PAGE, [1]), []);
  const [skipped] = await queues.find('expert.large', PAGE, [1]);
  const reasons = skipped?.drafts.map(({ reason }) => reason);
  assert.deepEqual([skipped?.stage, reasons], [2, ['low_confidence', 'needs_tools']]);
});

/** A page of eight documents in one job that a drafter has, and experts that are quick. */
async function drafting(store: RedisStore, queues: Queues) {
  await openPage(store, 8);
  await new Heartbeat(store, EXPERT).beat({ secondsPerDocument: 0.01, paused: null, concurrency: 16 });
  const jobs = Array.from({ length: 8 }, (_, document) => jobOf({ batch: 'a', document }));
  const options = await handingOff({ store, queues }, jobs);
  const handOffs = new HandOffs(store, queues);
  const prepared = (document: number, given: Partial<HandOffOptions> = {}): (() => Promise<HandedOff>) => {
    const job = withDraft(jobOf({ batch: 'a', document }), draftOf({ handedOffAtMs: null }));
    return handOffs.prepare({ job, rules: rulesOf() }, { ...options, ...given });
  };
  const all = async (some: readonly (() => Promise<HandedOff>)[]): Promise<HandedOff[]> =>
    await Promise.all(some.map((handOff) => handOff()));
  const ids = async (): Promise<string[]> =>
    (await store.client.zrange(`${store.keys.queue(EXPERT)}:prioritized`, '0', '-1')).toSorted();
  const left = async (): Promise<string | null> => await store.client.hget(`${store.keys.jobs(DRAFTER)}a-0b`, 'left');
  const bytes = async (): Promise<number> => (await pagesInFlight(store))[0]?.bytes ?? 0;
  return { prepared, all, ids, left, bytes };
}

test('drafts of a page that are handed off together are one job, which BullMQ would have made so', async () => {
  await using store = await storeOn(redis, 'together');
  await using queues = new Queues(store);
  const { prepared, all, ids, left } = await drafting(store, queues);
  const four = await all([1, 3, 4, 6].map((document) => prepared(document)));
  assert.deepEqual(four, ['GO', 'GO', 'GO', 'GO']);
  assert.deepEqual([await ids(), await left()], [['a-1b'], '1,3,4,6']);
  assert.deepEqual(await queues.depth(EXPERT), { waiting: 4, active: 0, delayed: 0 });
  const found = await queues.find(EXPERT, PAGE, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(
    found.map(({ place, stage }) => [place, stage]),
    [1, 3, 4, 6].map((place) => [place, 1]),
  );
  await using others = await storeOn(redis, 'others');
  await using plain = new Queues(others);
  await plain.add(EXPERT, found, () => 1, { size: 4 });
  const stands = async ({ client, keys }: RedisStore) => {
    const { timestamp, ...fields } = await client.hgetall(`${keys.jobs(EXPERT)}a-1b`);
    assert.ok(Math.abs(Number(timestamp) - Date.now()) < 60_000, timestamp);
    const names = (await client.keys(`${keys.queue(EXPERT)}:*`)).map((key) => key.slice(keys.prefix.length)).toSorted();
    const marker = await client.zrange(`${keys.queue(EXPERT)}:marker`, '0', '-1', 'WITHSCORES');
    const score = await client.zscore(`${keys.queue(EXPERT)}:prioritized`, 'a-1b');
    return {
      ...fields,
      data: JSON.parse(fields['data'] ?? ''),
      opts: JSON.parse(fields['opts'] ?? ''),
      names,
      marker,
      score,
    };
  };
  assert.deepEqual(await stands(store), await stands(others));
});

test('a document that may have been handed off before goes by itself, and one whose job went to somebody else does', async () => {
  await using store = await storeOn(redis, 'apart');
  await using queues = new Queues(store);
  const { prepared, all, ids, left } = await drafting(store, queues);
  const again = [1, 2].map((document) => prepared(document, { isAgain: true }));
  assert.deepEqual(await all(again), ['GO', 'GO']);
  assert.deepEqual([await ids(), await left()], [['a-1', 'a-2'], '1,2']);
  const held = await holdJob(store, DRAFTER, 'a-9');
  const gone = { from: { held, field: 'data' } };
  assert.deepEqual(await all([prepared(3), prepared(4), prepared(5, gone)]), ['GO', 'GO', 'GO']);
  assert.deepEqual([await ids(), await left()], [['a-1', 'a-2', 'a-3', 'a-4', 'a-5'], '1,2,3,4']);
  assert.equal(await store.client.exists(`${store.keys.jobs(DRAFTER)}a-9`), 0);
  await store.client.set(`${store.keys.jobs(DRAFTER)}a-0b:lock`, 'of another');
  assert.deepEqual(await all([prepared(6), prepared(7)]), ['GO', 'GO']);
  assert.deepEqual([(await ids()).slice(-2), await left()], [['a-6', 'a-7'], '1,2,3,4,6,7']);
});

test('a document that came this way before takes nobody along into the job that is there since', async () => {
  await using store = await storeOn(redis, 'taken-id');
  await using queues = new Queues(store);
  const { prepared, all, ids } = await drafting(store, queues);
  assert.deepEqual(await all([prepared(1), prepared(3)]), ['GO', 'GO']);
  // Redis says that the first of them is in a job of its own again, as its worker was lost while it put it there.
  const alone = jobOf({ batch: 'a', document: 1 });
  const { from } = await handingOff({ store, queues }, [alone]);
  assert.deepEqual(await all([prepared(1, { from }), prepared(4)]), ['GO', 'GO']);
  assert.deepEqual(await ids(), ['a-1', 'a-1b', 'a-4']);
});

test('of several of which one has its result the others are handed off, each by itself', async () => {
  await using store = await storeOn(redis, 'settled');
  await using queues = new Queues(store);
  const { prepared, all, ids } = await drafting(store, queues);
  const result = { line: { part: 'output', text: '{}' }, counts: { completed: 1 } } as const;
  assert.equal(await settle(store, { batch: 'a', page: 0, place: 2 }, result), 'WROTE');
  assert.deepEqual(await all([1, 2, 3].map((document) => prepared(document))), ['GO', 'ALREADY', 'GO']);
  assert.deepEqual(await ids(), ['a-1', 'a-3']);
});

test('a hand-off whose answer is lost is not made again: one job, one start tag, each draft charged once, in bytes', async () => {
  await using store = await storeOn(redis, 'unconfirmed');
  await using queues = new Queues(store);
  const { prepared, all, ids, left, bytes } = await drafting(store, queues);
  queues.depth = () => assert.fail('what waits does not matter, and to count it takes Redis milliseconds');
  assert.deepEqual(await all([prepared(6)]), ['GO']);
  const bytesBefore = await bytes();
  const { client } = store.scripts;
  const evalsha = client.evalsha.bind(client) as (...given: unknown[]) => Promise<unknown>;
  const lose = (isRun: boolean): void => {
    const losing = async (...given: unknown[]): Promise<unknown> => {
      const isHandOff = given.includes(store.keys.startTags(EXPERT));
      const answer = !isHandOff || isRun ? await evalsha(...given) : null;
      if (isHandOff) throw new Error('Connection is closed.');
      return answer;
    };
    Object.assign(client, { evalsha: losing });
  };
  const three = [1, 3, 4].map((document) => prepared(document));
  lose(false);
  await assert.rejects(all(three), /Connection is closed/);
  assert.deepEqual(await ids(), ['a-6']);
  lose(true);
  await assert.rejects(all(three), /Connection is closed/);
  assert.deepEqual(await ids(), ['a-1b', 'a-6']);
  Object.assign(client, { evalsha });
  assert.deepEqual(await all(three), ['ALREADY', 'ALREADY', 'ALREADY']);
  assert.deepEqual([await ids(), await left()], [['a-1b', 'a-6'], '6,1,3,4']);
  const draft = Buffer.byteLength(JSON.stringify(draftOf({ handedOffAtMs: null })));
  assert.equal((await bytes()) - bytesBefore, 3 * draft);
  assert.equal(await store.client.hget(store.keys.startTags(EXPERT), 'default'), '4');
});

test('who gets a job again, lost worker or not, has nothing to do with what left it', async () => {
  await using store = await storeOn(redis, 'lost');
  await using queues = new Queues(store);
  await drafting(store, queues);
  const job = jobOf({ batch: 'a', document: 8, place: 7 });
  const options = await handingOff({ store, queues }, [job]);
  const { held } = options.from;
  const start = async (losses: number): Promise<string> =>
    (await startJob(store, held, [job], { ...TAKING, losses })).state;
  assert.equal(await start(1), 'GO');
  const drafted = { job: withDraft(job, draftOf()), rules: rulesOf() };
  assert.equal(await new HandOffs(store, queues).prepare(drafted, options)(), 'GO');
  assert.deepEqual([await start(1), await start(0)], ['ALREADY', 'ALREADY']);
});

test('a draft that cannot be handed off now is written into its job, once, unless that went to somebody else', async () => {
  await using store = await storeOn(redis, 'kept');
  await using queues = new Queues(store);
  const { prepared, all, ids, left } = await drafting(store, queues);
  const key = `${store.keys.jobs(DRAFTER)}a-0b`;
  const written: string[] = [];
  const onWritten = (how: string): void => void written.push(how);
  const from = (place: number) => ({
    from: { held: { tier: DRAFTER, id: 'a-0b', token: 'own' }, field: `d${place}` },
    onWritten,
  });
  const epoch = (await store.client.get(store.keys.epoch)) ?? '';
  await store.client.del(store.keys.epoch);
  const two = [1, 2].map((document) => prepared(document, from(document)));
  assert.deepEqual(
    [await all(two), await all(two)],
    [
      ['RECOVERING', 'RECOVERING'],
      ['RECOVERING', 'RECOVERING'],
    ],
  );
  assert.deepEqual(written, ['SAVED', 'SAVED']);
  const drafts = async (place: number): Promise<number> => {
    const text = await store.client.hget(key, `d${place}`);
    return text === null ? 0 : (JSON.parse(text) as DocumentJob).drafts.length;
  };
  assert.deepEqual([await drafts(1), await drafts(2), await ids(), await left()], [1, 1, [], null]);
  await store.client.set(store.keys.epoch, epoch);
  assert.deepEqual(await all(two), ['GO', 'GO']);
  assert.deepEqual([await ids(), await left()], [['a-1b'], '1,2']);
  await store.client.hset(store.keys.batch('a'), 'phase', 'cancelled');
  assert.deepEqual(await all([prepared(3, from(3))]), ['CLOSED']);
  await store.client.del(`${key}:lock`);
  assert.deepEqual(await all([prepared(4, from(4))]), ['CLOSED']);
  assert.deepEqual([written.slice(2), await drafts(3), await drafts(4)], [['SAVED', 'GONE'], 1, 0]);
});
