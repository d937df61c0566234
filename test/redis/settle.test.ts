import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  NO_COUNTS,
  stageCounter,
  withDraft,
  writeDocumentCounts,
  writePage,
  type PagePlan,
  type Result,
} from '@spillway/core';
import {
  admit,
  advance,
  bytesInFlight,
  chargePage,
  close,
  enqueuePage,
  finishRecovery,
  fullPages,
  HandOffs,
  isRecovering,
  lostDocuments,
  markSealed,
  open,
  pagesInFlight,
  Queues,
  readBatch,
  readPage,
  readRules,
  restore,
  settle,
  Settler,
  startJob,
  type RedisStore,
  type Settled,
} from '@spillway/redis';
import fc from 'fast-check';
import { draftOf, jobOf, rulesOf } from '../support/jobs.ts';
import { handingOff } from '../support/hand-off.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { beginAnew, markRecovered, openBatch, storeOn } from '../support/stores.ts';
import { until } from '../support/system.ts';

let redis: RedisServer;
let run = 0;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const PAGE = 4;
const plan: PagePlan = { first: 0, documents: PAGE, offset: 0, bytes: 100, lineBefore: 0 };

const INPUT_TOKENS = stageCounter('test', 0, 'inputTokens');

const resultBy = (writer: number, place: number): Result => ({
  line: { part: writer % 2 === 0 ? 'output' : 'error', text: JSON.stringify({ writer, place }) },
  counts: writer % 2 === 0 ? { completed: 1, [INPUT_TOKENS]: writer } : { failed: 1 },
  cascade: 'test',
  times: { stages: [], sequentialMs: null, totalMs: writer },
});

/** What a result takes of Redis beside its page's input, in bytes. */
const bytesOf = ({ line, counts, kept = '' }: Result): number =>
  1 + Buffer.byteLength(line.text) + writeDocumentCounts(counts).length + Buffer.byteLength(kept);

/** What several processes do at once to one batch of two pages. */
type Step =
  | { readonly kind: 'settle'; readonly page: number; readonly place: number; readonly writer: number }
  | { readonly kind: 'seal'; readonly page: number }
  | { readonly kind: 'close' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      page: fc.integer({ min: 0, max: 1 }),
      place: fc.integer({ min: 0, max: PAGE - 1 }),
      writer: fc.integer({ min: 0, max: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('seal' as const), page: fc.integer({ min: 0, max: 1 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'close' as const }) },
);

test('interleaved writers: one result per document, none after its page was sealed or its batch closed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.scheduler(), async (steps, scheduler) => {
      const namespace = `settle${(run += 1)}`;
      await using opened = await storesOn(namespace);
      const { stores } = opened;
      const [first] = stores as [RedisStore];
      await markRecovered(first);
      await openBatch(first, 'batch', 2 * PAGE, 2);
      for (const page of [0, 1]) await enqueuePage(first, 'batch', page, plan, 100);

      const wrote = new Map<string, number>();
      const log: string[] = [];
      // What comes to one of them at once goes together, whoever else records some of it meanwhile.
      const settlers = new Map(stores.map((store) => [store, new Settler(store)]));
      const perform = async (one: Step, store: RedisStore): Promise<void> => {
        if (one.kind === 'close') await close(store, 'batch', 'cancelled');
        else if (one.kind === 'seal') await sealAsIs(store, one.page);
        else {
          const name = `${one.page}.${one.place}`;
          const settler = settlers.get(store) as Settler;
          const answer = await settler.settle({ batch: 'batch', ...one }, resultBy(one.writer, one.place));
          log.push(`${name} ${answer}`);
          if (answer === 'WROTE') {
            assert.equal(wrote.has(name), false, `${name} was written twice: ${log.join(', ')}`);
            wrote.set(name, one.writer);
          }
        }
      };
      const all = steps.map((one, index) => {
        const store = stores[index % stores.length] as RedisStore;
        return scheduler.schedule(Promise.resolve(one)).then((due) => perform(due, store));
      });
      await scheduler.waitAll();
      await Promise.all(all);

      const state = await readBatch(first, 'batch');
      const writers = [...wrote.values()];
      assert.equal(state?.counts.completed, writers.filter((writer) => writer % 2 === 0).length);
      assert.equal(state?.counts.failed, writers.filter((writer) => writer % 2 === 1).length);
      const tokens = writers.reduce((sum, writer) => (writer % 2 === 0 ? sum + writer : sum), 0);
      assert.equal(state?.counts[INPUT_TOKENS] ?? 0, tokens);
      for (const [name, writer] of wrote) {
        const [page = 0, place = 0] = name.split('.').map(Number);
        const { lines } = await readPage(first, 'batch', page);
        if (lines.size > 0) assert.equal(JSON.parse(lines.get(place)?.text ?? '{}').writer, writer);
      }
    }),
    { numRuns: 60 },
  );
});

/** Three clients, closed also when a property fails. */
async function storesOn(namespace: string) {
  const stores = await Promise.all([0, 1, 2].map(() => storeOn(redis, namespace)));
  const dispose = async (): Promise<void> => {
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
  };
  return { stores, [Symbol.asyncDispose]: dispose };
}

/** Seals a page with what it holds now, as an ending batch does, once its results can no longer change. */
async function sealAsIs(store: RedisStore, page: number): Promise<void> {
  const state = await readBatch(store, 'batch');
  const { lines, counts } = await readPage(store, 'batch', page);
  if (state?.phase !== 'closed' && lines.size < PAGE) return;
  const ordered = [...lines].toSorted(([left], [right]) => left - right).map(([, line]) => line);
  await markSealed(store, 'batch', writePage(page, ordered, { counts: { ...NO_COUNTS, ...counts }, waits: {} }).footer);
}

test('the four answers, and what each one leaves', async () => {
  await using store = await storeOn(redis, 'answers');
  const where = { batch: 'b', page: 0, place: 1 };
  const write = (place = 1): Promise<Settled> => settle(store, { ...where, place }, resultBy(2, place));
  assert.equal(await write(), 'RECOVERING', 'nobody has recovered this Redis');
  await markRecovered(store);
  assert.equal(await isRecovering(store), false);
  assert.equal(await write(), 'CLOSED', 'there is no such batch');
  await openBatch(store, 'b', PAGE, 1);
  assert.equal(await write(), 'CLOSED', 'its page is not enqueued yet');
  await enqueuePage(store, 'b', 0, plan, 100);
  assert.equal(await write(), 'WROTE');
  assert.equal(await write(), 'ALREADY');
  assert.equal((await pagesInFlight(store))[0]?.bytes, 100 + bytesOf(resultBy(2, 1)));
  assert.deepEqual(await fullPages(store), []);
  for (const place of [0, 2, 3]) await write(place);
  assert.deepEqual(await fullPages(store), [{ batch: 'b', page: 0 }]);
  // Taken back in time Redis may have a page's results and not that it is full; the sweep's look says it again.
  await store.client.del(store.keys.full);
  const all = { first: 0, enqueuedDocuments: 4, tiers: ['drafter.small'] };
  assert.deepEqual(await lostDocuments(store, 'b', 0, all), []);
  assert.deepEqual(await fullPages(store), [{ batch: 'b', page: 0 }]);
  const { footer } = writePage(0, [], { counts: { ...NO_COUNTS, completed: 3, failed: 1 }, waits: {} });
  assert.equal(await markSealed(store, 'b', footer), 'SEALED');
  assert.equal(await markSealed(store, 'b', footer), 'ALREADY');
  const state = await readBatch(store, 'b');
  assert.deepEqual([state?.counts.completed, state?.counts.failed, state?.sealedPages], [3, 1, 1], 'the footer counts');
  assert.deepEqual([await fullPages(store), await pagesInFlight(store)], [[], []]);
  assert.equal(await write(), 'ALREADY', 'sealed');
  await close(store, 'b', 'completed');
  assert.equal(await write(), 'CLOSED');
});

test('of results that come together those are recorded whose documents have none, each document the first of its own', async () => {
  await using store = await storeOn(redis, 'apart');
  await markRecovered(store);
  await openBatch(store, 'p', PAGE, 1);
  await enqueuePage(store, 'p', 0, plan, 100);
  const settler = new Settler(store);
  const settleAll = (...all: readonly (readonly [place: number, writer: number])[]): Promise<Settled[]> =>
    Promise.all(all.map(([place, writer]) => settler.settle({ batch: 'p', page: 0, place }, resultBy(writer, place))));
  const writers = async (): Promise<unknown[]> =>
    [...(await readPage(store, 'p', 0)).lines.values()].map(({ text }) => JSON.parse(text).writer);
  assert.deepEqual(await settleAll([0, 2], [1, 4], [0, 6]), ['WROTE', 'WROTE', 'ALREADY']);
  assert.deepEqual(await writers(), [2, 4]);
  assert.deepEqual(await settleAll([1, 8], [2, 10], [3, 3]), ['ALREADY', 'WROTE', 'WROTE']);
  assert.deepEqual(new Set(await writers()), new Set([2, 3, 4, 10]));
  const { counts } = await readPage(store, 'p', 0);
  const inBatch = (await readBatch(store, 'p'))?.counts;
  for (const known of [counts, inBatch]) {
    assert.deepEqual([known?.completed, known?.failed, known?.[INPUT_TOKENS]], [3, 1, 2 + 4 + 10]);
  }
  assert.deepEqual(await fullPages(store), [{ batch: 'p', page: 0 }]);
  const settled = [resultBy(2, 0), resultBy(4, 1), resultBy(10, 2), resultBy(3, 3)];
  const bytes = settled.map(bytesOf).reduce((sum, one) => sum + one, 100);
  assert.equal((await pagesInFlight(store))[0]?.bytes, bytes);
});

test('a wiped or restarted Redis answers RECOVERING until storage was read again', async () => {
  await using server = await startRedis();
  await using store = await storeOn(server, 'wiped');
  await markRecovered(store);
  await server.client.flushall();
  assert.equal(await isRecovering(store), true);
  await markRecovered(store);
  assert.equal(await isRecovering(store), false);
  await server.client.bgrewriteaof();
  await server.restart();
  // A restart may have lost the last second.
  await until(() => isRecovering(store).catch(() => false));
});

test('completing needs every result; whoever closes first decides', async () => {
  await using store = await storeOn(redis, 'closing');
  await markRecovered(store);
  await openBatch(store, 'c', 1, 1);
  await enqueuePage(store, 'c', 0, { ...plan, documents: 1 }, 100);
  assert.deepEqual(await close(store, 'c', 'completed'), { kind: 'REFUSED' });
  await settle(store, { batch: 'c', page: 0, place: 0 }, resultBy(2, 0));
  const answers = await Promise.all(
    (['completed', 'cancelled', 'expired'] as const).map((outcome) => close(store, 'c', outcome)),
  );
  assert.equal(answers.filter((answer) => answer.kind === 'CLOSED').length, 1);
  const outcomes = new Set(answers.map((answer) => ('outcome' in answer ? answer.outcome : null)));
  assert.equal(outcomes.size, 1, 'all get the same outcome');
  assert.deepEqual(await close(store, 'none', 'cancelled'), { kind: 'GONE' });
});

test('what is kept of a document stands beside its result, counts as in flight, and goes with the page', async () => {
  await using store = await storeOn(redis, 'kept');
  await markRecovered(store);
  await openBatch(store, 'k', PAGE, 1);
  await enqueuePage(store, 'k', 0, plan, 100);
  const kept = JSON.stringify({ v: 1, text: 'ä'.repeat(100) });
  const result = resultBy(2, 1);
  const where = (place: number) => ({ batch: 'k', page: 0, place });
  assert.equal(await settle(store, where(1), { ...result, kept }), 'WROTE');
  assert.equal(await settle(store, where(1), { ...result, kept: 'another' }), 'ALREADY');
  assert.equal(await settle(store, where(2), resultBy(2, 2)), 'WROTE');
  const page = await readPage(store, 'k', 0);
  assert.deepEqual([...page.kept], [[1, kept]]);
  assert.deepEqual(new Set(page.lines.keys()), new Set([1, 2]));
  assert.equal(page.counts.completed, 2);
  const bytes = 100 + bytesOf({ ...result, kept }) + bytesOf(resultBy(2, 2));
  const inFlight = { batch: 'k', page: 0 };
  assert.deepEqual(await bytesInFlight(store, [inFlight, { ...inFlight, page: 7 }]), [bytes, 0]);
  await chargePage(store, 'k', 0, 50);
  await chargePage(store, 'k', 7, 50);
  assert.deepEqual(await pagesInFlight(store), [{ ...inFlight, bytes: bytes + 50 }]);
  assert.deepEqual(await lostDocuments(store, 'k', 0, { first: 0, enqueuedDocuments: PAGE, tiers: [] }), [0, 3]);
  await markSealed(store, 'k', writePage(0, [], { counts: page.counts, waits: {} }).footer);
  assert.deepEqual((await readPage(store, 'k', 0)).kept.size, 0);
});

test('a page counts what its results say: what Redis counted otherwise is told, and what an earlier version left', async () => {
  await using store = await storeOn(redis, 'counted');
  const { client, keys } = store;
  await markRecovered(store);
  await openBatch(store, 't', PAGE, 1);
  await enqueuePage(store, 't', 0, plan, 100);
  for (const place of [0, 1, 2]) await settle(store, { batch: 't', page: 0, place }, resultBy(2 * place, place));
  const sums = { ...NO_COUNTS, completed: 3, [INPUT_TOKENS]: 2 + 4 };
  const counted = async () => {
    const { counts, miscounted, lines } = await readPage(store, 't', 0);
    assert.deepEqual(new Set(lines.keys()), new Set([0, 1, 2]));
    return { counts, miscounted };
  };
  assert.deepEqual(await counted(), { counts: sums, miscounted: null });
  const page = keys.page('t', 0);
  await client.hincrby(page, `#${INPUT_TOKENS}`, 5);
  const miscounted = { counted: { [INPUT_TOKENS]: 11 }, lines: { [INPUT_TOKENS]: 6 } };
  assert.deepEqual(await counted(), { counts: sums, miscounted });
  // What a version to come may leave beside a result is no result.
  await client.hset(page, { e1: 'what', x: 'what' });
  assert.deepEqual(await counted(), { counts: sums, miscounted });
  // The version before left a result's line, and its counts in the page's sums only.
  await client.hdel(page, 'c1');
  assert.deepEqual(await counted(), { counts: { ...sums, [INPUT_TOKENS]: 11 }, miscounted: null });
});

test('a batch whose pages are all sealed can be completed, whatever its counters say', async () => {
  await using store = await storeOn(redis, 'drifted');
  await markRecovered(store);
  await openBatch(store, 's', PAGE, 1);
  await enqueuePage(store, 's', 0, plan, 100);
  for (const place of [0, 1, 2, 3]) await settle(store, { batch: 's', page: 0, place }, resultBy(2, place));
  await store.client.hincrby(store.keys.batch('s'), 'completed', 1);
  assert.deepEqual(await close(store, 's', 'completed'), { kind: 'REFUSED' });
  const { counts } = await readPage(store, 's', 0);
  await markSealed(store, 's', writePage(0, [], { counts, waits: {} }).footer);
  assert.equal((await readBatch(store, 's'))?.counts.completed, PAGE + 1);
  assert.equal((await close(store, 's', 'completed')).kind, 'CLOSED');
});

test('what another version of Spillway left in Redis counts as lost: every script answers RECOVERING until a recovery', async () => {
  await using store = await storeOn(redis, 'versions');
  await using queues = new Queues(store);
  const { client, keys } = store;
  await markRecovered(store);
  await openBatch(store, 'd', PAGE, 1);
  await enqueuePage(store, 'd', 0, plan, 100);
  const epoch = (await client.get(keys.epoch)) ?? '';
  const [, runId = ''] = /run_id:(\w+)/.exec(await redis.client.info('server')) ?? [];
  assert.equal(epoch, `${runId}.2`);
  const facts = { total: 1, pages: 1, model: 'test', inProgressAtMs: 0 };
  const job = jobOf({ batch: 'd' });
  const drafted = { job: withDraft(job, draftOf()), rules: rulesOf() };
  const options = await handingOff({ store, queues }, [job]);
  const answers = async () => [
    await admit(store, 'e', { tenant: 'default', createdAtMs: 0, expiresAtMs: 1 }),
    await open(store, 'd', facts, { test: rulesOf() }),
    await enqueuePage(store, 'd', 0, plan, 100),
    await advance(store, 'd', 0, 1),
    (
      await startJob(store, { tier: 'drafter.small', id: 'd-0' }, [job], {
        priority: 1,
        answered: null,
        callMs: 1_000,
        losses: 0,
      })
    ).state,
    await new HandOffs(store, queues).prepare(drafted, options)(),
    await settle(store, { batch: 'd', page: 0, place: 0 }, resultBy(2, 0)),
    (await close(store, 'd', 'completed')).kind,
  ];
  // The one before this had no version; the next one will have another.
  for (const other of [runId, `${runId}.1`, `${runId}.3`]) {
    await client.set(keys.epoch, other);
    assert.equal(await isRecovering(store), true, other);
    const all = await answers();
    assert.deepEqual(new Set(all), new Set(['RECOVERING']), `${other}: ${all.join()}`);
  }
  assert.equal((await readBatch(store, 'd'))?.phase, 'open');
  assert.deepEqual([(await readPage(store, 'd', 0)).lines.size, await readBatch(store, 'e')], [0, null]);
  assert.equal(await queues.waiting('expert.large'), 0);
  await markRecovered(store);
  assert.equal(await client.get(keys.epoch), epoch);
  assert.deepEqual(await answers(), ['ADMITTED', 'CLOSED', 'AGAIN', 'ADVANCED', 'GO', 'GO', 'WROTE', 'REFUSED']);
});

test('a recovery puts the rules of a batch back, whether Redis still had them or not', async () => {
  await using store = await storeOn(redis, 'rules');
  const { client, keys } = store;
  await markRecovered(store);
  const rules = { test: rulesOf({ acceptAt: [0.3] }) };
  const facts = { tenant: 'default', createdAtMs: 0, expiresAtMs: 1 };
  const validated = { total: 1, pages: 1, model: 'test', inProgressAtMs: 0, rules };
  await openBatch(store, 'f', 1, 1);
  assert.deepEqual(await readRules(store, 'f'), { test: rulesOf() });
  await client.del(keys.rules('f'));
  assert.equal(await readRules(store, 'f'), null);
  for (const id of ['f', 'g']) {
    const recovery = await beginAnew(store);
    assert.equal(await restore(store, recovery, id, { ...facts, validated, ending: null }), 'RESTORED');
    await finishRecovery(store, recovery);
    assert.deepEqual(await readRules(store, id), rules);
    assert.equal((await readBatch(store, id))?.phase, 'open');
  }
  const recovery = await beginAnew(store);
  assert.equal(await restore(store, recovery, 'h', { ...facts, validated: null, ending: null }), 'RESTORED');
  assert.deepEqual([(await readBatch(store, 'h'))?.phase, await readRules(store, 'h')], ['validating', null]);
});
