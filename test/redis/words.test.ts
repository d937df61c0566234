import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  addCounts,
  LIMITS,
  NO_COUNTS,
  resultOf,
  withDraft,
  writePage,
  type Counts,
  type EscalationReason,
  type PagePlan,
  type Result,
  type Warning,
} from '@spillway/core';
import {
  HandOffs,
  enqueuePage,
  keepSaid,
  markSealed,
  Queues,
  readBatch,
  readPage,
  recount,
  settle,
  type RedisStore,
} from '@spillway/redis';
import { acceptedDraftOf, attemptOf, draftOf, jobOf, rulesOf } from '../support/jobs.ts';
import { handingOff } from '../support/hand-off.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { beginAnew, markRecovered, openBatch, storeOn } from '../support/stores.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const DOCUMENTS = 200;
const plan: PagePlan = { first: 0, documents: DOCUMENTS, offset: 0, bytes: 100, lineBefore: 0 };
const rules = rulesOf();

/** Processes that hand documents of one batch off, in turn; what they were told. */
async function drafting(namespace: string, total: number) {
  const stores = await Promise.all([storeOn(redis, namespace), storeOn(redis, namespace)]);
  const [store] = stores as [RedisStore, RedisStore];
  await markRecovered(store);
  await openBatch(store, 'b', total, 1);
  await enqueuePage(store, 'b', 0, plan, 100);
  const queues = stores.map((one) => new Queues(one));
  const told: Warning[] = [];
  let document = 0;
  return {
    store,
    told,
    async escalate(reason: EscalationReason, count: number, said?: { text: string; status?: number }): Promise<void> {
      const error = said?.status === undefined ? null : { type: `${said.status}`, message: '', said: said.text };
      const words = said === undefined ? {} : { said: said.text };
      const draft = draftOf({ reason, attempts: [attemptOf({ error })], ...words });
      for (let at = 0; at < count; at += 1, document += 1) {
        const job = withDraft(jobOf({ batch: 'b', document }), draft);
        const process = document % 2;
        const own = { store: stores[process] as RedisStore, queues: queues[process] as Queues };
        const options = await handingOff(own, [job], { onUnjudged: (warning) => told.push(warning) });
        assert.equal(await new HandOffs(own.store, own.queues).prepare({ job, rules }, options)(), 'GO');
      }
    },
    async accept(): Promise<void> {
      const job = jobOf({ batch: 'b', document });
      document += 1;
      const result = resultOf({ job, rules }, { kind: 'accepted', draft: acceptedDraftOf() });
      assert.equal(await settle(store, job, result), 'WROTE');
    },
    async [Symbol.asyncDispose]() {
      for (const one of [...queues, ...stores]) await one[Symbol.asyncDispose]();
    },
  };
}

test('the first 50 drafts of a batch that nobody could judge are told once, whichever processes made them', async () => {
  await using batch = await drafting('first', 120);
  await batch.escalate('no_label', 30, { text: 'Well, maybe' });
  await batch.escalate('drafter_rejected', 19, { text: 'not supported', status: 400 });
  assert.deepEqual(batch.told, []);
  await batch.escalate('no_label', 1);
  const warning = {
    tier: 'drafter.small',
    cascade: 'test',
    stage: 1,
    drafts: 50,
    reasons: { no_label: 31, drafter_rejected: 19 },
    said: 'not supported',
  };
  assert.deepEqual(batch.told, [warning], 'with what a server said in an error, which is no content');
  await batch.escalate('no_label', 60);
  await batch.escalate('low_confidence', 1);
  assert.equal(batch.told.length, 1);
  const state = await readBatch(batch.store, 'b');
  assert.deepEqual(state?.warnings, [warning]);
  assert.deepEqual(state?.said, {
    'test/1/reason:no_label': 'Well, maybe',
    'test/1/reason:drafter_rejected': 'not supported',
  });
});

test('one draft that could be judged is enough to tell nothing', async () => {
  for (const [name, judge] of [
    ['low', (batch) => batch.escalate('low_confidence', 1)],
    ['shadow', (batch) => batch.escalate('shadow_run', 1)],
    ['accepted', (batch) => batch.accept()],
  ] as [string, (batch: Awaited<ReturnType<typeof drafting>>) => Promise<void>][]) {
    await using batch = await drafting(name, 120);
    await batch.escalate('no_logprobs', 49);
    await judge(batch);
    await batch.escalate('no_logprobs', 60);
    assert.deepEqual(batch.told, [], name);
    assert.deepEqual((await readBatch(batch.store, 'b'))?.warnings, [], name);
  }
});

test('a smaller batch is told of with its last draft, and of a handful nothing follows', async () => {
  for (const [total, drafts] of [
    [12, 12],
    [10, 10],
    [9, null],
  ] as const) {
    await using batch = await drafting(`small${total}`, total);
    await batch.escalate('truncated', total - 1);
    assert.equal(batch.told.length, 0);
    await batch.escalate('truncated', 1);
    const told = batch.told.map((one) => one.drafts);
    assert.deepEqual(told, drafts === null ? [] : [drafts]);
  }
});

const withSaid = (counts: Partial<Counts>, said: Record<string, string>): Result => ({
  line: { part: 'error', text: '{}' },
  counts,
  said,
  cascade: 'test',
  times: { stages: [], sequentialMs: null, totalMs: 0 },
});

test('what servers said first is kept beside the counts, so many texts a batch, through seal and recovery', async () => {
  await using store = await storeOn(redis, 'texts');
  const { client, keys } = store;
  await markRecovered(store);
  await openBatch(store, 'b', 8, 2);
  for (const page of [0, 1]) await enqueuePage(store, 'b', page, { ...plan, documents: 4 }, 100);
  const put = (page: number, place: number, name: keyof Counts, text: string) =>
    settle(store, { batch: 'b', page, place }, withSaid({ failed: 1, [name]: 1 }, { [name]: text }));
  await put(0, 0, 'error/400', 'first');
  await put(1, 0, 'error/400', 'second');
  await put(1, 1, 'error/500', 'down');
  const sums = { ...NO_COUNTS, failed: 3, 'error/400': 2, 'error/500': 1 };
  const said = { 'error/400': 'first', 'error/500': 'down' };
  const known = async () => {
    const state = await readBatch(store, 'b');
    return [state?.counts, state?.said];
  };
  assert.deepEqual(await known(), [sums, said]);
  const { counts, said: ofPage } = await readPage(store, 'b', 0);
  assert.deepEqual([counts, ofPage], [{ ...NO_COUNTS, failed: 1, 'error/400': 1 }, { 'error/400': 'first' }]);
  const { footer } = writePage(0, [], { counts, said: ofPage, waits: {} });
  assert.equal(await markSealed(store, 'b', footer), 'SEALED');
  assert.deepEqual(await known(), [sums, said], 'a footer counts what its page counted');
  const recovery = await beginAnew(store);
  await client.hdel(keys.batch('b'), 'said:error/400');
  await recount(store, recovery, 'b', { pages: 1, sums: counts, open: [1] });
  await keepSaid(store, 'b', { ...footer.said, 'error/500': 'another' });
  assert.deepEqual(await known(), [sums, said], 'storage tells what Redis lost, and no more');
  await keepSaid(store, 'b', Object.fromEntries(Array.from({ length: 99 }, (_, at) => [`error/${at + 400}`, 'x'])));
  const state = await readBatch(store, 'b');
  assert.ok(Object.keys(state?.said ?? {}).length <= LIMITS.saidTexts);
  await keepSaid(store, 'gone', said);
  assert.equal(await client.exists(keys.batch('gone')), 0);
});

test('a page that the version before sealed says nothing of reasons, and the sums stay those of the footers', async () => {
  await using store = await storeOn(redis, 'older');
  await markRecovered(store);
  await openBatch(store, 'b', 8, 2);
  for (const page of [0, 1]) {
    await enqueuePage(store, 'b', page, { ...plan, documents: 4 }, 100);
    const counts = { failed: 1, 'error/400': 1 };
    await settle(store, { batch: 'b', page, place: 0 }, withSaid(counts, {}));
  }
  const { footer } = writePage(0, [], { counts: addCounts(NO_COUNTS, { failed: 1 }), waits: {} });
  const { reasons: _reasons, said: _said, ...older } = footer;
  assert.equal(await markSealed(store, 'b', older), 'SEALED');
  assert.deepEqual((await readBatch(store, 'b'))?.counts, { ...NO_COUNTS, failed: 2, 'error/400': 1 });
});
