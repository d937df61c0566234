import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { DocumentTelemetry, openStageModel, type StageModel } from '@spillway/cascade';
import {
  readConfiguration,
  readJob,
  withDraft,
  type Configuration,
  type DocumentJob,
  type JobData,
  type Role,
} from '@spillway/core';
import {
  bundledField,
  close,
  enqueuePage,
  HandOffs,
  Leavings,
  Queues,
  Settler,
  type RedisStore,
  type Started,
  writeDocument,
} from '@spillway/redis';
import { EnvReader, openLog, openTelemetry } from '@spillway/runtime';
import { Auditor } from '../../packages/worker/src/auditor.ts';
import { BundleHandler } from '../../packages/worker/src/bundle-handler.ts';
import { DONE, later, LEFT_ALONE, PUT_BACK, type Disposition } from '../../packages/worker/src/disposition.ts';
import { DocumentWorker, type Verdict } from '../../packages/worker/src/document-worker.ts';
import { HeldDocument } from '../../packages/worker/src/held-document.ts';
import { Slots } from '../../packages/worker/src/slots.ts';
import { draftOf, jobOf, rulesOf } from '../support/jobs.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';
import { until } from '../support/system.ts';

/** One document with one worker, at the moments that processes rarely meet. */

let redis: RedisServer;
let server: ModelServer;
let configuration: Configuration;
let number = 0;

before(async () => {
  [redis, server] = await Promise.all([startRedis(), startModelServer({ role: 'drafter' })]);
  const model = (name: string): string => `  ${name}: { base_url: "${server.baseURL}", model: ${name} }`;
  const yaml = `models:\n${model('small')}\n${model('large')}\ncascades:\n  test: { drafter: small, expert: large, accept_at: 0.8 }\n`;
  const read = readConfiguration(yaml);
  assert.ok(read.kind === 'valid', JSON.stringify(read));
  configuration = read.configuration;
});

after(async () => {
  await Promise.all([redis[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
});

beforeEach(() => {
  number += 1;
});

const page = { first: 0, documents: 1, offset: 0, bytes: 100, lineBefore: 0 };
const rules = rulesOf({ onDeadline: 'draft' });
const unsure = { messages: [{ role: 'user', content: '[[drafter unsure]] a' }] };

function modelOf(role: Role): StageModel {
  const name = role === 'drafter' ? 'small' : 'large';
  const spec = configuration.models[name];
  assert.ok(spec !== undefined);
  return openStageModel(
    { name, spec, apiKey: null },
    { role, configuration, propagates: false, onCall: () => undefined },
  );
}

/** When the process must end, and whether somebody else has the job by the time of the answer. */
type Working = { readonly stopping?: AbortSignal; readonly isLost?: boolean };

/** A batch with one document in work, and a worker of a role for it. */
async function working(role: Role) {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await storeOn(redis, `worker${number}`));
  const queues = stack.use(new Queues(store));
  const model = stack.use(modelOf(role));
  const log = openLog('test', 'silent');
  const telemetry = stack.use(await openTelemetry('test', new EnvReader({}), log));
  const documents = new DocumentTelemetry(
    { log, telemetry },
    { configuration, loggedShare: 0, takeTrace: () => Promise.resolve(false) },
  );
  await markRecovered(store);
  await openBatch(store, 'a', 1, 1);
  await enqueuePage(store, 'a', 0, page, 100);
  const worker = new DocumentWorker(model, {
    settler: new Settler(store),
    handOffs: new HandOffs(store, queues),
    telemetry: documents,
    auditor: new Auditor(store, queues, log),
  });
  const never = new AbortController().signal;
  const tier = role === 'drafter' ? 'drafter.small' : 'expert.large';
  const keyOf = (document: number): string => `${store.keys.jobs(tier)}a-${document}`;
  /** Works on a document from a job of its own, as it stands in Redis. */
  const work = async (job: DocumentJob, { stopping = never, isLost = false }: Working = {}): Promise<Verdict> => {
    const key = keyOf(job.document);
    await store.client.hset(key, { name: 'document', data: JSON.stringify(job) });
    await store.client.set(`${key}:lock`, isLost ? 'of another' : 'own');
    const held = new HeldDocument(job, {
      job: { tier, id: `a-${job.document}`, token: 'own' },
      isBundled: false,
      started: { state: 'GO', settled: [] } as unknown as Started,
      losses: 0,
      takes: 1,
    });
    return await worker.work({ job, rules }, { signal: never, stopping, stalls: 0, held });
  };
  /** A document as it stands in its job. */
  const written = async (document: number): Promise<DocumentJob> => {
    const content = readJob(JSON.parse((await store.client.hget(keyOf(document), 'data')) ?? '') as JobData);
    assert.ok(content.kind === 'document', content.kind);
    const [stands] = content.documents;
    assert.ok(stands !== undefined);
    return stands;
  };
  const kept = stack.move();
  return { store, queues, work, written, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What handles bundles, whose documents are handled so; and what of them failed. */
function bundlesOn(
  redisStore: RedisStore,
  queues: Queues,
  handle: (held: HeldDocument) => Promise<Disposition> = () => Promise.resolve(DONE),
  isPaused = false,
) {
  const failed: string[] = [];
  const handler = new BundleHandler(
    { redis: redisStore, queues, documents: { handle }, pause: { isPaused }, breaker: { wasGoneSince: () => false } },
    {
      isDraining: () => false,
      stopping: new AbortController().signal,
      onFailed: (id) => void failed.push(id),
    },
  );
  return { handler, failed };
}

test('a draft that was made as its batch expired stays in its job, where the dispatcher looks for it', async () => {
  await using system = await working('drafter');
  await close(system.store, 'a', 'expired');
  const verdict = await system.work(jobOf({ batch: 'a', document: 0, body: unsure }));
  assert.equal(verdict.kind, 'later');
  assert.equal((await system.written(0)).drafts.length, 1);
});

test('an answer that came as its batch expired does not take the drafts before it along', async () => {
  await using system = await working('expert');
  await close(system.store, 'a', 'expired');
  const drafts = [draftOf({ handedOffAtMs: 1 })];
  const verdict = await system.work(jobOf({ batch: 'a', document: 0, stage: 1, drafts }));
  assert.equal(verdict.kind, 'later');
});

test('a draft that cannot be handed off is written down: whoever gets the job next asks nobody again', async () => {
  await using system = await working('drafter');
  const asked = server.received;
  // Redis recovers and the process must end: the draft cannot be handed off.
  await system.store.client.del(system.store.keys.epoch);
  const stopped = AbortSignal.abort();
  assert.equal(
    (await system.work(jobOf({ batch: 'a', document: 0, body: unsure }), { stopping: stopped })).kind,
    'put_back',
  );
  await markRecovered(system.store);
  assert.equal((await system.work(await system.written(0))).kind, 'done');
  assert.equal(server.received - asked, 1);
  const [next] = await system.queues.find('expert.large', { batch: 'a', ...page }, [0]);
  assert.deepEqual([next?.stage, next?.drafts.map(({ attempts }) => attempts.length)], [1, [1]]);
});

test('a draft whose job went to somebody else is handed off all the same, and whoever has that knows', async () => {
  await using system = await working('drafter');
  const { store } = system;
  const left = (): Promise<string | null> => store.client.hget(`${store.keys.jobs('drafter.small')}a-0`, 'left');
  assert.equal(await left(), null);
  const document = jobOf({ batch: 'a', document: 0, body: unsure });
  assert.equal((await system.work(document, { isLost: true })).kind, 'done');
  assert.equal(await left(), '0');
  assert.equal((await system.work(document)).kind, 'done');
  assert.equal(await left(), '0');
  const [next] = await system.queues.find('expert.large', { batch: 'a', ...page }, [0]);
  assert.equal(next?.drafts.length, 1);
});

test('a bundle whose worker was lost goes on as jobs of its own, with drafts that were written and without what has left it', async () => {
  await using system = await working('drafter');
  const { store, queues } = system;
  const tier = 'drafter.small';
  const inPage = { batch: 'a', first: 0, documents: 4 };
  const documents = [0, 1, 2, 3].map((document) => jobOf({ batch: 'a', document, waitingSinceMs: 1_000 }));
  await queues.add(tier, documents, () => 7, { size: 4 });
  const held = { tier, id: 'a-0b', token: 'token' };
  const key = `${store.keys.jobs(tier)}a-0b`;
  await store.client.set(`${key}:lock`, 'token');
  await store.client.hset(key, 'taken', '5000 0');
  const drafted = withDraft(documents[1] ?? jobOf(), draftOf());
  await writeDocument(store, { held, field: bundledField(1) }, drafted);
  await new Leavings(store).leave(held, [2]);
  const { handler } = bundlesOn(store, queues);
  assert.deepEqual(await handler.split(held, 7), { kind: 'done' });
  const found = (await queues.find(tier, inPage, [0, 1, 2, 3])).toSorted((left, right) => left.place - right.place);
  assert.deepEqual(
    found.map(({ place, drafts }) => [place, drafts.length]),
    [
      [0, 0],
      [1, 1],
      [3, 0],
    ],
  );
  // Since it was taken up nobody had it, which was no time in the queue.
  assert.deepEqual(
    found.map(({ delays = [] }) => delays.map(({ reason, fromMs }) => [reason, fromMs])),
    found.map(() => [['lost_worker', 5_000]]),
  );
  const ids = async () => (await store.client.zrange(`${store.keys.queue(tier)}:prioritized`, '0', '-1')).toSorted();
  assert.deepEqual(await ids(), ['a-0', 'a-0b', 'a-1', 'a-3']);
  // Whoever split it was lost, too, before it was gone: nothing of it is begun once more.
  await queues.drop(tier, { ...inPage, documents: 0 }, [0, 1, 3]);
  assert.deepEqual(await handler.split(held, 7), { kind: 'done' });
  assert.deepEqual(await ids(), ['a-0b']);
});

test('a bundle of which one document cannot leave stays, and the others are done with', async () => {
  await using system = await working('drafter');
  const { store, queues } = system;
  const other = Promise.withResolvers<Disposition>();
  const { handler, failed } = bundlesOn(store, queues, async ({ data: { place } }) =>
    place === 1 ? await other.promise : later(10),
  );
  queues.add = () => Promise.reject(new Error('Missing key for job'));
  const slots = new Slots(2);
  const documents = [0, 1].map((document) => jobOf({ batch: 'a', document }));
  const held = { tier: 'drafter.small', id: 'a-0b', token: 'token' };
  const started = { state: 'GO', settled: [] } as unknown as Started;
  const taken = { held, documents, slots: documents.map(() => slots.reserve()), priority: 1, started, takes: 1 };
  let disposition: Disposition | null = null;
  const handling = handler.handle({ ...taken, beganMs: performance.now() }).then((said) => (disposition = said));
  await until(async () => Promise.resolve(failed.length === 1));
  assert.equal(disposition, null);
  other.resolve(DONE);
  assert.deepEqual([await handling, failed], [LEFT_ALONE, ['a-0b']]);
});

test('a bundle that comes as its worker pauses goes back as it is', async () => {
  await using system = await working('drafter');
  const { handler } = bundlesOn(system.store, system.queues, undefined, true);
  const documents = [0, 1].map((document) => jobOf({ batch: 'a', document }));
  const slots = new Slots(2);
  const held = { tier: 'drafter.small', id: 'a-0b', token: 'token' };
  const started = { state: 'GO', settled: [] } as unknown as Started;
  const taken = { held, documents, slots: documents.map(() => slots.reserve()), priority: 1, started, takes: 1 };
  assert.deepEqual(await handler.handle({ ...taken, beganMs: performance.now() }), PUT_BACK);
  assert.equal(await system.queues.documents('drafter.small'), 0);
});
