import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KEYS, LIMITS, RECORDS, type AuditEntry, type CascadeRules, type DocumentJob } from '@spillway/core';
import {
  beginAudit,
  close,
  dropIdleAudits,
  dropOutcomes,
  endAudit,
  keepAudits,
  Queues,
  readBatch,
  readOutcomes,
  startJob,
  type RedisStore,
} from '@spillway/redis';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRecord, type BatchPlan } from '@spillway/storage';
import { AuditRecorder } from '../../services/dispatcher/src/audits.ts';
import { RulesCache } from '../../packages/worker/src/rules-cache.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { jobOf, rulesOf } from '../support/jobs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';

const TIER = 'expert.large';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

async function working(namespace: string): Promise<AsyncDisposable & { store: RedisStore; queues: Queues }> {
  const store = await storeOn(redis, namespace);
  const queues = new Queues(store);
  await markRecovered(store);
  await openBatch(store, 'b', 1_000, 4);
  await openBatch(store, 'c', 1_000, 4);
  return {
    store,
    queues,
    [Symbol.asyncDispose]: async () => {
      await queues[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

const auditOf = (document: number, given: Partial<DocumentJob> = {}): DocumentJob =>
  jobOf({ batch: 'b', document, stage: 1, audit: { draft: 'yes' }, ...given });
const entryOf = (document: number, outcome: AuditEntry['outcome'] = 'agreed'): AuditEntry => ({
  document,
  cascade: 'test',
  outcome,
  inputTokens: 1,
  outputTokens: 1,
  nanoUsd: 1,
});

const order = ({ client, keys }: RedisStore): Promise<string[]> =>
  client.zrange(`${keys.queue(TIER)}:prioritized`, '0', '-1');

test('an audit stands behind whatever waits, and what comes later may stand before it', async () => {
  await using parts = await working('behind');
  const { store, queues } = parts;
  const add = async (batch: string, from: number, documents: number): Promise<void> => {
    const jobs = Array.from({ length: documents }, (_, at) => jobOf({ batch, document: from + at, stage: 1 }));
    await queues.add(TIER, jobs, await queues.takeTags(TIER, { tenant: batch, batch, documents }));
  };
  await add('b', 0, 3);
  await add('c', 0, 1);
  assert.equal(await beginAudit(store, queues, TIER, auditOf(7)), 'GO');
  assert.equal(await beginAudit(store, queues, TIER, auditOf(7)), 'ALREADY');
  assert.equal((await order(store)).at(-1), 'b-7a');
  // A tenant that has waited for nothing yet goes first.
  await add('c', 1, 1);
  assert.deepEqual((await order(store)).slice(-1), ['b-7a']);
  assert.deepEqual(
    await queues.depth(TIER),
    { waiting: 6, active: 0, delayed: 0 },
    'it counts as what the expert has to do',
  );
});

test('so many audits wait at most, so many of a batch, and so many bytes, but for one', async () => {
  await using parts = await working('full');
  const { store, queues } = parts;
  const begin = (job: DocumentJob) => beginAudit(store, queues, TIER, job);
  const { client, keys } = store;
  await client.hset(
    keys.audits(TIER),
    ...Array.from({ length: LIMITS.batchAudits }, (_, at) => [`b-${at}a`, '1']).flat(),
  );
  assert.equal(await begin(auditOf(999)), 'FULL');
  assert.equal(await begin(auditOf(1, { batch: 'c' })), 'GO');
  await client.hset(keys.audits(TIER), ...Array.from({ length: LIMITS.audits }, (_, at) => [`d-${at}a`, '1']).flat());
  assert.equal(await begin(auditOf(2, { batch: 'c' })), 'FULL');
  await client.del(keys.audits(TIER));
  const large = { batch: 'c', body: { model: 'test', messages: 'x'.repeat(LIMITS.auditBytes) } };
  assert.equal(await begin(auditOf(3, large)), 'GO', 'one is let in however large it is');
  assert.equal(await begin(auditOf(4, { batch: 'c' })), 'FULL');
  assert.equal(await begin(auditOf(4, { batch: 'gone' })), 'CLOSED');
});

test('an audit is begun while it is waited for, recorded once, and dropped with its batch or without a job', async () => {
  await using parts = await working('once');
  const { store, queues } = parts;
  const start = (job: DocumentJob) =>
    startJob(store, { tier: TIER, id: `${job.batch}-${job.document}a` }, [job], {
      priority: 1,
      answered: null,
      callMs: 1_000,
      losses: 0,
    });
  for (const document of [1, 2, 3]) await beginAudit(store, queues, TIER, auditOf(document));
  assert.deepEqual([(await start(auditOf(1))).state, (await start(auditOf(9))).state], ['GO', 'GONE']);
  assert.equal(await endAudit(store, TIER, auditOf(1), entryOf(1)), 'WROTE');
  assert.equal(await endAudit(store, TIER, auditOf(1), entryOf(1, 'disagreed')), 'ALREADY');
  assert.equal((await start(auditOf(1))).state, 'GONE');
  const outcomes = await readOutcomes(store, 'b');
  assert.deepEqual(outcomes.entries, [entryOf(1)]);
  await endAudit(store, TIER, auditOf(2), entryOf(2));
  assert.equal(
    await dropOutcomes(store, 'b', { texts: ['another', ...outcomes.texts] }),
    2,
    'others than what was read stay',
  );
  assert.equal(await dropOutcomes(store, 'b', outcomes), 1);
  // The job of one was lost, and another's batch is over.
  await queues.of(TIER).remove('b-3a');
  await beginAudit(store, queues, TIER, auditOf(4, { batch: 'c' }));
  await close(store, 'c', 'cancelled');
  assert.equal(await endAudit(store, TIER, { batch: 'c', document: 5 }, entryOf(5)), 'ALREADY');
  assert.equal(await dropIdleAudits(store, queues, TIER), 2);
  assert.deepEqual(await order(store), ['b-1a', 'b-2a'], 'jobs that workers had go with their workers');
  assert.equal(await dropIdleAudits(store, queues, TIER), 0);
});

test('tightened rules are read by whoever takes up a document after that', async () => {
  await using parts = await working('rules');
  const { store } = parts;
  const cache = new RulesCache(store);
  const of = (version: string): Promise<CascadeRules | null> => cache.of({ batch: 'b', cascade: 'test' }, version);
  assert.equal((await of(''))?.tightened, undefined);
  const rules = { test: { ...rulesOf(), tightened: true as const } };
  assert.equal(await keepAudits(store, 'b', { audits: {}, tightened: { version: 'test', rules } }), 'KEPT');
  assert.equal((await of('test'))?.tightened, true);
  assert.equal((await cache.of({ batch: 'c', cascade: 'test' }, ''))?.tightened, undefined);
  await close(store, 'b', 'cancelled');
  assert.equal(await keepAudits(store, 'b', { audits: {}, tightened: null }), 'CLOSED');
});

test('whoever leads next writes each audit down once, and does what an alarm asked for', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-audits-'));
  await using parts = await dispatcherParts(redis, 'recorder', directory);
  const { redis: store, queues, storage, records } = parts;
  await markRecovered(store);
  await openBatch(store, 'b', 1_000, 4);
  const audit = { share: 1, onAlarm: 'tighten', atMost: 0.05, certainty: 0.95 } as const;
  const plan = { manifest: { id: 'b' }, cascades: { test: rulesOf({ audit }) } } as unknown as BatchPlan;
  const told: string[] = [];
  const fails = { isSo: true };
  const webhooks = {
    tellPromiseAtRisk: async (batch: string) => {
      if (fails.isSo) throw new Error('killed');
      told.push(batch);
      return true;
    },
  };
  const room = { isFull: false };
  const leader = () => new AuditRecorder({ ...parts, room, webhooks });
  const [first, second] = [leader(), leader()];
  for (let document = 0; document < 12; document += 1) {
    await beginAudit(store, queues, TIER, auditOf(document));
    await endAudit(store, TIER, auditOf(document), entryOf(document, 'disagreed'));
  }
  // It has read what was written before, and is slower.
  await second.restored(plan);
  await assert.rejects(first.finish(plan), /killed/);
  assert.equal((await readRecord(storage, KEYS.audit('b', 0), RECORDS.audit))?.entries.length, 12);
  fails.isSo = false;
  await beginAudit(store, queues, TIER, auditOf(50));
  await endAudit(store, TIER, auditOf(50), entryOf(50));
  const audits = await second.finish(plan);
  assert.deepEqual([audits?.['test']?.audit.audits, audits?.['test']?.audit.disagreements], [13, 12]);
  assert.deepEqual(told, ['b']);
  const state = await readBatch(store, 'b');
  assert.deepEqual(
    [state?.audits, (await new RulesCache(store).of({ batch: 'b', cascade: 'test' }, 'test'))?.tightened],
    [audits, true],
  );
  assert.deepEqual(
    (await records.audits('b')).map(({ entries, alarms }) => [entries.length, alarms]),
    [
      [12, ['test']],
      [1, []],
    ],
  );
  // The first one is still there, and does not know of the second one's record.
  for (let document = 60; document < 70; document += 1) {
    await beginAudit(store, queues, TIER, auditOf(document));
    await endAudit(store, TIER, auditOf(document), entryOf(document));
  }
  const both = await Promise.all([first.finish(plan), second.finish(plan)]);
  for (const one of both) assert.equal(one?.['test']?.audit.audits, 23);
  const documents = (await records.audits('b')).flatMap(({ entries }) => entries.map((entry) => entry.document));
  assert.deepEqual([documents.length, new Set(documents).size], [23, 23]);
  assert.deepEqual((await readOutcomes(store, 'b')).texts, []);
  await rm(directory, { recursive: true });
});
