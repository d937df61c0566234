import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KEYS, stageCounter, type CascadeRules } from '@spillway/core';
import { admit, enqueuePage, isRecovering, readBatch } from '@spillway/redis';
import { type BatchPlan, type Storage } from '@spillway/storage';
import type { OpenAI } from 'openai';
import { Capacity } from '../../services/dispatcher/src/capacity.ts';
import { addDocuments } from '../../services/dispatcher/src/document-jobs.ts';
import { outlineOf, type Outline, type PageOutline } from '../../services/dispatcher/src/outlines.ts';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { rulesOf, threeStageRules } from '../support/jobs.ts';
import { FACTS, writeRecords } from '../support/records.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import type { Service } from '../support/service.ts';
import { sharedSystem, sharedWithoutWorkers } from '../support/shared-system.ts';
import { openBatch } from '../support/stores.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

let redis: RedisServer;
let directory: string;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-recovery-'));
});

after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const never = new AbortController().signal;
const MB = 1024 * 1024;
const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

test('a recovery that another one overtook leaves alone what was made meanwhile', async () => {
  const path = join(directory, 'overtaken');
  const listed = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  await using slow = await dispatcherParts(
    redis,
    'overtaken',
    path,
    (storage) =>
      ({
        ...Object.fromEntries(
          (['create', 'read', 'size', 'remove', 'upload', 'stream', 'prove'] as const).map((name) => [
            name,
            (...args: never[]) => (storage[name] as (...given: never[]) => unknown)(...args),
          ]),
        ),
        list: async (folder: string, options: Parameters<Storage['list']>[1]) => {
          const keys = await storage.list(folder, options);
          listed.resolve();
          await goOn.promise;
          return keys;
        },
        [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
      }) as Storage,
  );
  const first = recoverIfNeeded(slow, 'first', never);
  await listed.promise;
  await using quick = await dispatcherParts(redis, 'overtaken', path);
  assert.equal(await recoverIfNeeded(quick, 'second', never), true);
  await writeRecords(quick.storage, 'batch_new', 'default');
  assert.equal(await admit(quick.redis, 'batch_new', FACTS), 'ADMITTED');
  goOn.resolve();
  await first;
  assert.equal((await readBatch(quick.redis, 'batch_new'))?.phase, 'validating');
  assert.notEqual(await quick.storage.size(KEYS.openMark('batch_new')), null, 'its open mark stands');
  assert.equal(await isRecovering(quick.redis), false);
});

/** The rules of a cascade of `small` and this expert. */
const endingWith = (expert: string): CascadeRules => rulesOf({ models: ['small', expert] });
/** The first page of a batch, as the capacity is asked for it. */
function firstPage(plan: BatchPlan): [Outline, PageOutline] {
  const outline = outlineOf(plan);
  const page = outline.pages.at(0);
  assert.ok(page !== undefined);
  return [outline, page];
}

const pageOf = (bytes: number) => ({ first: 0, documents: 10, offset: 0, bytes, lineBefore: 0 });

test("others' pages fill an expert that is down: a tenant with nothing in flight enqueues a page all the same", async () => {
  await using parts = await dispatcherParts(redis, 'capacity', join(directory, 'capacity'));
  await recoverIfNeeded(parts, 'capacity', never);
  await writeRecords(parts.storage, 'batch_a', 'a', { giant: endingWith('giant') });
  await writeRecords(parts.storage, 'batch_b', 'b', { giant: endingWith('giant') });
  for (const id of ['batch_a', 'batch_b']) await openBatch(parts.redis, id, 10, 1);
  await enqueuePage(parts.redis, 'batch_a', 0, pageOf(1), 100 * MB);
  const capacity = await Capacity.measure(parts);
  const [a, b] = await Promise.all([parts.records.plan('batch_a'), parts.records.plan('batch_b')]);
  assert.ok(a !== null && b !== null);
  assert.ok(capacity.lacking(...firstPage(a)).includes('expert.giant'));
  assert.deepEqual(capacity.lacking(...firstPage(b)), []);
  capacity.take(...firstPage(b));
  assert.deepEqual(capacity.lacking(...firstPage(b)), ['expert.giant'], 'the second one waits');
});

test('a middle tier that is down fills no way but those through it', async () => {
  await using parts = await dispatcherParts(redis, 'ways', join(directory, 'ways'));
  await recoverIfNeeded(parts, 'ways', never);
  await writeRecords(parts.storage, 'batch_a', 'a', { contracts: threeStageRules() });
  await writeRecords(parts.storage, 'batch_b', 'a', { large: rulesOf({ models: ['other', 'large'] }) });
  for (const id of ['batch_a', 'batch_b']) await openBatch(parts.redis, id, 10, 1);
  await enqueuePage(parts.redis, 'batch_a', 0, pageOf(1), 100 * MB);
  const capacity = await Capacity.measure(parts);
  const [a, b] = await Promise.all([parts.records.plan('batch_a'), parts.records.plan('batch_b')]);
  assert.ok(a !== null && b !== null);
  assert.deepEqual(capacity.lacking(...firstPage(a)).toSorted(), ['drafter.medium', 'expert.large']);
  assert.deepEqual(capacity.lacking(...firstPage(b)), [], 'the pages of the other way wait for another tier');
});

test('three stages: what waits bounds the first tier, what is in flight bounds each later one', async () => {
  await using parts = await dispatcherParts(redis, 'stages', join(directory, 'stages'));
  await recoverIfNeeded(parts, 'stages', never);
  await writeRecords(parts.storage, 'batch_c', 'c', { contracts: threeStageRules() });
  await openBatch(parts.redis, 'batch_c', 10, 1);
  const plan = await parts.records.plan('batch_c');
  assert.ok(plan !== null);
  const place = { plan, page: 0, documents: [], places: [] };
  await enqueuePage(parts.redis, 'batch_c', 0, pageOf(1), 20 * MB);
  assert.deepEqual(
    (await Capacity.measure(parts)).lacking(...firstPage(plan)),
    [],
    'nothing waits, and 20 of 64 MiB are in flight',
  );
  const largeLine = { ...plan, pages: [{ first: 0, documents: 1, offset: 0, bytes: 16 * MB, lineBefore: 0 }] };
  assert.deepEqual(
    (await Capacity.measure(parts)).lacking(...firstPage(largeLine)),
    [],
    'nor is a line of twice the bound held',
  );
  const documents = Array.from({ length: 5 }, (_, index) => ({
    kind: 'request' as const,
    request: { customId: `doc-${index}`, cascade: 'contracts', body: { model: 'contracts' } },
  }));
  await addDocuments({ ...parts, sampling: null }, { ...place, documents, places: [0, 1, 2, 3, 4], loads: null });
  const capacity = await Capacity.measure(parts);
  assert.deepEqual(
    capacity.lacking(...firstPage(plan)),
    ['drafter.small'],
    'a half of 20 MiB waits for the first stage',
  );
  assert.deepEqual(capacity.lacking(...firstPage(largeLine)), ['drafter.small']);
  for (let page = 0; page < 45; page += 1) capacity.take(...firstPage(plan));
  assert.deepEqual(capacity.lacking(...firstPage(plan)).toSorted(), [
    'drafter.medium',
    'drafter.small',
    'expert.large',
  ]);
});

const DOCUMENTS = 600;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);
const slowly = { drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } };

/** One of each; a dispatcher that a test kills is followed by another one. */
const whole = sharedSystem(() => System.start(slowly));
const idle = sharedWithoutWorkers();

const leader = ({ services }: System): Service =>
  services.find(({ name, child }) => name === 'dispatcher' && child.signalCode === null) ?? assert.fail();

test('a restarted Redis and a record that cannot be read: the counts are whole when the batch is taken in again', async () => {
  const system = await whole();
  const first = leader(system);
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => done(batch) >= 100);
  await first.kill();
  const path = join(system.directory, 'data', KEYS.validated(id));
  const record = await readFile(path);
  await writeFile(path, '{"v":2,');
  await system.redis.client.bgrewriteaof();
  await system.redis.restart();
  const second = await system.run('dispatcher');
  await second.waitFor((line) => line.msg === 'recovered what Redis forgot from storage');
  await writeFile(path, record);
  await wholeResults(system, await system.settled(id), docIds(DOCUMENTS));
});

test('a page that was cut short in storage holds up its own batch only', async () => {
  const system = await whole();
  const first = leader(system);
  const { id } = await system.submit(prompts);
  await until(async () => (await system.redis.client.getbit(`{test}:sealed:${id}`, 0)) === 1);
  await first.kill();
  const page = join(system.directory, 'data', KEYS.page(id, 0));
  const content = await readFile(page);
  await truncate(page, content.length - 5);
  await system.redis.client.flushall();
  const second = await system.run('dispatcher');
  await system.admitted();
  const recoveries = () => second.lines.filter(({ msg }) => msg === 'recovered what Redis forgot from storage').length;
  const earlier = recoveries();
  const failures = () => second.lines.filter(({ step, batch }) => step === 'sweep' && batch === id).length;
  await until(async () => failures() >= 3);
  assert.equal(recoveries(), earlier, 'nobody else is made to recover for it');
  const other = await system.submit(['a', '[[drafter unsure]] b']);
  await wholeResults(system, await system.settled(other.id), docIds(2));
  await writeFile(page, content);
  await wholeResults(system, await system.settled(id), docIds(DOCUMENTS));
});

test('pages that vanish from Redis before they are done are enqueued again', async (t) => {
  const system = await idle(t);
  const { id } = await system.submit(prompts);
  await until(async () => (await system.redis.client.hget(`{test}:batch:${id}`, 'enqueued')) === String(DOCUMENTS));
  const { client } = system.redis;
  const jobs = await client.keys(`{test}:drafter.small:${id}-*`);
  await client.del('{test}:drafter.small:prioritized', `{test}:page:${id}:1`, ...jobs);
  await client.hdel('{test}:in-flight', `${id}:1`);
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await wholeResults(system, await system.settled(id), docIds(DOCUMENTS));
});

const SMALL_TOKENS = stageCounter('test', 0, 'inputTokens');

/** What was told of wrong counts of one batch's pages. */
const miscountsOf = ({ services }: System, id: string) =>
  services
    .flatMap(({ lines }) => lines)
    .filter(({ msg, batch }) => msg?.startsWith('a page was counted wrong') && batch === id)
    .map(({ page, counted, lines }) => ({ page, counted, lines }));

test('a batch whose counters in Redis are wrong ends all the same, and shows what its pages say, tokens and money too', async (t) => {
  const system = await idle(t);
  const { client } = system.redis;
  const { id } = await system.submit(prompts.slice(0, 20));
  await until(async () => (await client.hget(`{test}:batch:${id}`, 'enqueued')) === '20');
  await client.hincrby(`{test}:batch:${id}`, 'completed', -1);
  const money = stageCounter('test', 1, 'nanoUsd');
  await client.hset(`{test}:page:${id}:0`, { '#completed': 5, [`#${SMALL_TOKENS}`]: 1000, [`#${money}`]: 7 });
  await Promise.all([system.run('drafter'), system.run('expert')]);
  const batch = await system.settled(id);
  assert.deepEqual([batch.status, batch.request_counts], ['completed', { total: 20, completed: 20, failed: 0 }]);
  const { output } = await wholeResults(system, batch, docIds(20));
  const usages = (stage: number) => output.flatMap(({ cascade }) => cascade?.stages[stage]?.usage ?? []);
  const ofDrafts = usages(0).reduce((sum, usage) => sum + usage.input_tokens, 0);
  const ofExpert = usages(1).reduce((sum, usage) => sum + usage.input_tokens, 0);
  // At a dollar and two for a million.
  const nanoUsd = usages(1).reduce((sum, usage) => sum + 1e3 * usage.input_tokens + 2e3 * usage.output_tokens, 0);
  assert.ok(ofDrafts > 0 && nanoUsd > 0);
  assert.deepEqual(miscountsOf(system, id), [
    {
      page: 0,
      counted: { completed: 25, [SMALL_TOKENS]: ofDrafts + 1000, [money]: nanoUsd + 7 },
      lines: { completed: 20, [SMALL_TOKENS]: ofDrafts, [money]: nanoUsd },
    },
  ]);
  assert.equal(batch.usage?.input_tokens, ofDrafts + ofExpert);
});

test('a page that an ending batch leaves unfinished counts what its results say', async (t) => {
  const system = await idle(t);
  const { client } = system.redis;
  const texts = ['a', '[[drafter hang]] b'];
  const { id } = await system.submit(texts);
  await system.run('drafter');
  await system.settled(id, (batch) => done(batch) === 1);
  await client.hincrby(`{test}:page:${id}:0`, `#${SMALL_TOKENS}`, 1000);
  await system.client.batches.cancel(id);
  const batch = await system.settled(id);
  const { output } = await wholeResults(system, batch, docIds(2));
  const tokens = output[0]?.cascade?.stages[0]?.usage.input_tokens ?? assert.fail();
  assert.deepEqual(miscountsOf(system, id), [
    { page: 0, counted: { [SMALL_TOKENS]: tokens + 1000 }, lines: { [SMALL_TOKENS]: tokens } },
  ]);
  assert.equal(batch.usage?.input_tokens, tokens);
});

test('Redis at its maxmemory: workers that start then take up what waits, keep it while it takes long, and hand it on', async () => {
  await using system = await System.create({ drafter: { latencyMs: 2_500 }, env: { SPILLWAY_LOCK_MS: '1000' } });
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  const { client } = system.redis;
  const { id } = await system.submit(prompts.slice(0, 20));
  await until(async () => (await client.hget(`{test}:batch:${id}`, 'enqueued')) === '20');
  const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  await client.config('SET', 'maxmemory', Math.round(used * 0.8));
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await wholeResults(system, await system.settled(id), docIds(20));
  assert.match(await client.info('errorstats'), /OOM/, 'it was full');
  assert.deepEqual([system.drafterModel.requests.length, system.expertModel.requests.length], [20, 7]);
});

test('Redis at its maxmemory: what is in flight settles, is sealed and makes room again', async () => {
  await using system = await System.start({ drafter: { latencyMs: 15 }, redis: { maxmemory: '1gb' } });
  const { client } = system.redis;
  const { id } = await system.submit(Array.from({ length: DOCUMENTS }, (_, index) => `${index} ${'x'.repeat(1_000)}`));
  await system.settled(id, (batch) => done(batch) >= 50);
  const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  await client.config('SET', 'maxmemory', Math.round(used * 0.8));
  await wholeResults(system, await system.settled(id), docIds(DOCUMENTS));
  await client.config('SET', 'maxmemory', '1gb');
  const next = await system.submit(prompts.slice(0, 30));
  await wholeResults(system, await system.settled(next.id), docIds(30));
});
