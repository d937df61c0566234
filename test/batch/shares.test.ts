import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { LIMITS, type BatchObject } from '@spillway/core';
import { Queues } from '@spillway/redis';
import { scriptOf } from '../support/model-script.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { promptOf } from '../support/model-shapes.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { storeOn } from '../support/stores.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const many = (count: number, prompt = 'x'): string[] =>
  Array.from({ length: count }, (_, index) => `${prompt} ${index}`);

/** While it is there, the expert begins its calls and answers none. */
let held: Promise<void> | null = null;

let giant: ModelServer;
after(() => giant[Symbol.asyncDispose]());

/** The first test knows it before its expert has answered anything, and the last one leaves a batch in work. */
const shared = sharedSystem(async () => {
  giant = await startModelServer({ role: 'expert' });
  return System.start({
    drafter: { latencyMs: 5 },
    expert: {
      latencyMs: 40,
      answer: async ({ body, attempt }) => {
        await held;
        return scriptOf({ prompt: promptOf(body), attempt, role: 'expert' });
      },
    },
    models: { small: { concurrency: 8 }, large: { concurrency: 4, max_attempts: 1, timeout_s: 120 } },
    moreModels: `  giant: { base_url: "${giant.baseURL}", model: giant }`,
    moreCascades: '  other: { drafter: small, expert: giant, accept_at: 0.8 }',
  });
});

test('one expert is down: its batches wait and use up no attempt, another cascade goes on', async () => {
  const system = await shared();
  await system.expertModel.stop();
  const stuck = await system.submit(many(300, '[[drafter unsure]]'));
  await until(async () => (await system.redis.client.exists('{test}:breaker:expert.large')) === 1);
  const free = await system.submit(many(300, '[[drafter unsure]]'), { model: 'other' });
  await wholeResults(system, await system.settled(free.id), docIds(300));
  assert.equal((await system.client.batches.retrieve(stuck.id)).request_counts?.completed, 0);
  const { waiting, progress } = await accountOf(system, stuck.id);
  const [{ tier, since } = { tier: null, since: null }] = waiting;
  assert.deepEqual([waiting.length, tier], [1, 'expert.large'], JSON.stringify(waiting));
  assert.ok(since !== null && since >= stuck.created_at && since <= free.created_at, `it is down since ${since}`);
  assert.equal(progress.left_seconds, null, 'no expert has answered anything yet');
  await system.expertModel.restart();
  const batch = await system.settled(stuck.id);
  const { errors } = await wholeResults(system, batch, docIds(300));
  assert.deepEqual(errors, []);
});

test("a small batch's escalations do not queue behind a large one's, and none of the large one's starve", async () => {
  const system = await shared();
  await using store = await storeOn(system.redis, 'test');
  await using queues = new Queues(store);
  const gate = Promise.withResolvers<void>();
  held = gate.promise;
  const large = await system.submit(many(900, '[[drafter unsure]]'));
  const waiting = async (): Promise<number> => (await queues.depth('expert.large')).waiting;
  await until(async () => (await waiting()) > 200);
  const small = await system.submit(many(20, '[[drafter unsure]] small'));
  // All of it waits with the others.
  const places = Array.from({ length: 20 }, (_, place) => place);
  const ofSmall = { batch: small.id, first: 0, documents: 20 };
  await until(async () => (await queues.find('expert.large', ofSmall, places)).length === 20);
  const begun = system.expertModel.requests.length;
  held = null;
  gate.resolve();
  await system.settled(small.id);
  const order = system.expertModel.requests.slice(begun).map(({ body }) => promptOf(body).includes('small'));
  const last = order.lastIndexOf(true);
  assert.ok(last < 100, `its last document came after ${last} others, of more than 200 that waited before it`);
  await wholeResults(system, await system.settled(large.id), docIds(900));
});

test('twenty documents behind twenty thousand: enqueued and drafted long before them', async () => {
  const system = await shared();
  const large = await system.submit(many(20_000));
  await system.settled(large.id, (batch) => (batch.request_counts?.completed ?? 0) >= 100);
  const small = await system.submit(many(20));
  await system.settled(small.id);
  const { request_counts: counts } = await system.client.batches.retrieve(large.id);
  assert.ok((counts?.completed ?? 0) < 5_000, `the large one was at ${counts?.completed}`);
});

test('what waits in Redis is bounded by bytes, whatever the size of the work', async () => {
  await using system = await System.create();
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  const before = await usedBytes(system);
  const large = await system.submit(many(3_000, 'y'.repeat(20_000)));
  let [last, peak] = [-1, 0];
  await until(async () => {
    const now = await usedBytes(system);
    peak = Math.max(peak, now);
    const still = now === last || Math.abs(now - last) < 1_000;
    last = now;
    return still && now > before + LIMITS.waitingBytesPerTier / 2;
  });
  assert.ok(peak - before < 3 * LIMITS.waitingBytesPerTier, `${peak - before} bytes for 60 MB of input`);
  const behind = await system.submit(many(300, 'y'.repeat(20_000)));
  const statesOf = async (id: string) => (await accountOf(system, id)).waiting.map(({ state }) => state);
  assert.deepEqual(await statesOf(large.id), ['no_workers']);
  await until(async () => (await statesOf(behind.id)).includes('capacity'));
  const { waiting } = await accountOf(system, behind.id);
  assert.deepEqual(
    waiting.map(({ tier, state }) => [tier, state]),
    [
      ['drafter.small', 'no_workers'],
      ['drafter.small', 'capacity'],
    ],
  );
  assert.ok((waiting[1]?.since ?? 0) >= large.created_at);
});

test('enqueueing stops and creating is refused while Redis is nearly full, and both go on afterwards', async () => {
  await using system = await System.create({ redis: { maxmemory: '1gb' } });
  await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
  const used = Number(/used_memory:(\d+)/.exec(await system.redis.client.info('memory'))?.[1]);
  await system.redis.client.config('SET', 'maxmemory', Math.round(used / 0.8));
  await assert.rejects(system.submit(many(3)), { status: 503 });
  await system.redis.client.config('SET', 'maxmemory', '1gb');
  const { id } = await system.submit(many(3));
  await wholeResults(system, await system.settled(id), docIds(3));
});

async function accountOf(system: System, id: string): Promise<BatchObject['spillway']> {
  const batch: BatchObject = await system.client.get(`/batches/${id}`);
  return batch.spillway;
}

async function usedBytes(system: System): Promise<number> {
  const info = await system.redis.client.info('memory');
  return Number(/used_memory_dataset:(\d+)/.exec(info)?.[1] ?? 0);
}
