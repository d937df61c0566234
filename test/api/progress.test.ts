import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KEYS, stageCounter, type BatchObject, type ProgressNote } from '@spillway/core';
import { advance, close, Heartbeat, keepNotes, open, openBreaker, Queues, writeShortage } from '@spillway/redis';
import { jobOf } from '../support/jobs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { rulesOf, startTestApi, type TestApi } from './api-under-test.ts';

const TIERS = ['drafter.small', 'expert.large'] as const;

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

type Shown = BatchObject['spillway'];

const shown = async (id: string): Promise<Shown> => {
  const read = async (): Promise<Shown> => (await api.client().get<BatchObject>(`/batches/${id}`)).spillway;
  const wordsOf = ({ progress, waiting }: Pick<Shown, 'progress' | 'waiting'>): string =>
    JSON.stringify([progress, waiting]);
  // A second may end in between.
  for (let tries = 0; tries < 20; tries += 1) {
    const own = await read();
    if (wordsOf(await api.client().get(`/batches/${id}/report`)) === wordsOf(own)) return own;
  }
  return assert.fail('the report says the same');
};

/** A validated batch of a thousand documents, of which so many were enqueued, with these counters. */
async function batchInWork(
  enqueued: number,
  { metadata = {}, counts = {}, beganMs = Date.now() }: Partial<{ metadata: object; counts: object; beganMs: number }>,
): Promise<string> {
  const { id } = await api.client().batches.create({
    input_file_id: `file-${'1'.repeat(32)}`,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { ...metadata },
  });
  const validated = { validatedAtMs: beganMs, total: 1_000, cascades: ['invoices'], pages: [[0, 1_000, 0, 99, 0]] };
  await api.put(KEYS.validated(id), validated);
  const facts = { total: 1_000, pages: 1, model: 'invoices', inProgressAtMs: beganMs };
  assert.equal(await open(api.store, id, facts, rulesOf('invoices')), 'OPENED');
  assert.equal(await advance(api.store, id, 0, enqueued), 'ADVANCED');
  const { client, keys } = api.store;
  for (const [name, count] of Object.entries(counts)) await client.hset(keys.batch(id), name, String(count));
  return id;
}

const inStage = (stage: number, name: Parameters<typeof stageCounter>[2]) => stageCounter('invoices', stage, name);

/** 300 of a thousand are settled after a minute: three in ten were escalated, and cost ten times as much. */
const COUNTS = {
  completed: 300,
  [inStage(0, 'accepted')]: 210,
  [inStage(0, 'escalated')]: 90,
  [inStage(0, 'nanoUsd')]: 300 * 1e6,
  [inStage(1, 'answered')]: 90,
  [inStage(1, 'nanoUsd')]: 90 * 10e6,
};

test('a batch in work says how fast it is, how long it takes, and what it costs', async () => {
  const beganMs = Date.now() - 61_000;
  const id = await batchInWork(1_000, { counts: COUNTS, beganMs });
  const notes = Array.from({ length: 31 }, (_, at): ProgressNote => {
    const [drafted, answered] = [at * 10, at * 3];
    const stages = [
      { reached: 1_000, left: drafted },
      { reached: answered, left: answered },
    ];
    return { atMs: beganMs + 1_000 + at * 2_000, settled: drafted, stages };
  });
  assert.equal(await keepNotes(api.store, id, notes), 'KEPT');
  const { progress, waiting } = await shown(id);
  assert.deepEqual(waiting, []);
  const {
    elapsed_seconds: elapsed,
    documents_per_second: rate,
    left_seconds: left,
    projected_usd: projected,
  } = progress;
  assert.ok(elapsed !== null && elapsed >= 61 && elapsed < 66, `${elapsed}`);
  assert.ok(rate !== null && rate > 4.5 && rate <= 5.1, `${rate}`);
  // 700 at five a second are 140 s.
  assert.ok(
    left !== null && left.low > 85 && left.low < 140 && left.high > 140 && left.high < 300,
    JSON.stringify(left),
  );
  assert.equal(progress.at_risk, false);
  assert.deepEqual([progress.spent_usd, progress.all_expert_usd], [1.2, null]);
  // A thousand drafts and three hundred answers are 4.
  assert.ok(projected !== null && projected.low > 2.5 && projected.low < 4, JSON.stringify(projected));
  assert.ok(projected.high > 4 && projected.high < 6, JSON.stringify(projected));
  const { over_time: told } = await api.client().get<{ over_time: object[] }>(`/batches/${id}/report`);
  assert.deepEqual(
    told,
    notes.map(({ atMs, ...note }) => ({ at: atMs / 1000, ...note })),
  );
});

test('a batch of which nobody has taken notes yet, or for long, says what is known and no more', async () => {
  const id = await batchInWork(1_000, { counts: COUNTS, beganMs: Date.now() - 5_000 });
  const { elapsed_seconds: elapsed, ...others } = (await shown(id)).progress;
  assert.ok(elapsed !== null && elapsed >= 5 && elapsed < 10);
  const unknown = { documents_per_second: null, left_seconds: null, at_risk: null, projected_usd: null };
  assert.deepEqual(others, { ...unknown, spent_usd: 1.2, all_expert_usd: null });
});

test('a batch names the tier whose breaker is open, since when, and the one that has no workers', async () => {
  await using queues = new Queues(api.store);
  const [drafter, expert] = TIERS;
  const id = await batchInWork(1_000, {});
  assert.deepEqual((await shown(id)).waiting, [], 'there is nobody, and nothing to do');
  await queues.add(drafter, [jobOf({ batch: id, document: 1 })], () => 1);
  const none = { tier: drafter, state: 'no_workers', since: null, reason: 'no worker of this tier is there' };
  assert.deepEqual((await shown(id)).waiting, [none]);
  const heartbeat = new Heartbeat(api.store, drafter);
  await heartbeat.beat({ concurrency: 4, secondsPerDocument: null, paused: null });
  assert.deepEqual((await shown(id)).waiting, []);
  const beganS = Math.floor(Date.now() / 1000);
  const reason = 'the model server cannot be reached';
  // The second one is of the call that probed it in vain.
  for (const begunAtMs of [0, 1]) {
    const opening = {
      cause: 'down',
      reason,
      askedMs: 1,
      begunAtMs: Date.now() + begunAtMs,
      sinceMs: Date.now(),
    } as const;
    await openBreaker(api.store, expert, opening);
  }
  const [opened] = (await shown(id)).waiting;
  assert.deepEqual(opened, { tier: expert, state: 'open', since: opened?.since, reason });
  assert.ok(Math.abs((opened?.since ?? 0) - beganS) <= 1, `${opened?.since} for ${beganS}`);
  await api.store.client.del(api.store.keys.breaker(expert), api.store.keys.holds(expert));
});

test('a batch of which nothing is in the queues says that there is no capacity, others do not', async () => {
  const [, expert] = TIERS;
  const sinceMs = Date.now() - 60_000;
  await writeShortage(api.store, {
    [expert]: { sinceMs, reason: 'as much as may be is enqueued' },
    other: { sinceMs, reason: '' },
  });
  const idle = await batchInWork(0, {});
  const since = Math.floor(sinceMs / 1000);
  const full = { tier: expert, state: 'capacity', since, reason: 'as much as may be is enqueued' };
  assert.deepEqual((await shown(idle)).waiting, [full]);
  assert.deepEqual((await shown(await batchInWork(500, { counts: { completed: 499 } }))).waiting, []);
  assert.deepEqual((await shown(await batchInWork(500, { counts: { completed: 500 } }))).waiting, [full]);
  assert.deepEqual((await shown(await batchInWork(1_000, {}))).waiting, [], 'all of it is enqueued');
  await writeShortage(api.store, {});
  assert.deepEqual((await shown(idle)).waiting, []);
});

test('a batch that has cost what it may says so until it has ended', async () => {
  const metadata = { 'spillway.max_usd': '1.2' };
  const id = await batchInWork(1_000, { metadata, counts: COUNTS });
  assert.equal((await close(api.store, id, 'expired')).kind, 'CLOSED');
  const { progress, waiting } = await shown(id);
  const [capped] = waiting;
  const reason = "the batch has cost what 'spillway.max_usd' allows";
  assert.deepEqual(waiting, [{ tier: null, state: 'max_usd_reached', since: capped?.since, reason }]);
  assert.deepEqual([progress.spent_usd, progress.left_seconds, progress.at_risk], [1.2, null, null]);
  const expired = await batchInWork(1_000, { counts: COUNTS });
  await close(api.store, expired, 'expired');
  assert.deepEqual((await shown(expired)).waiting, []);
});
