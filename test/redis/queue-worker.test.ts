import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Queues } from '@spillway/redis';
import { QueueWorker, type QueueWorkerOptions } from '../../packages/worker/src/queue-worker.ts';
import { Slots } from '../../packages/worker/src/slots.ts';
import { jobOf } from '../support/jobs.ts';
import { startRedis } from '../support/redis.ts';
import { storeOn } from '../support/stores.ts';
import { until } from '../support/system.ts';

const TIER = 'drafter.small';

test('a job that a worker puts back is taken up at once by one that waits', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'put-back');
  await using queues = new Queues(store);
  const workerOf = (process: QueueWorkerOptions['process']): QueueWorker =>
    new QueueWorker(store, { tier: TIER, slots: new Slots(1), lockMs: 30_000, process, onError: () => undefined });
  const [taken, held, given] = [1, 2, 3].map(() => Promise.withResolvers<void>());
  assert.ok(taken !== undefined && held !== undefined && given !== undefined);
  const first = workerOf(async (_job, _token, { putBack }) => {
    taken.resolve();
    await held.promise;
    first.pause();
    await putBack();
  });
  const second = workerOf(async (_job, _token, { complete }) => {
    await complete();
    given.resolve();
  });
  await using _workers = {
    [Symbol.asyncDispose]: async () => void (await Promise.all([first.close(1_000), second.close(1_000)])),
  };
  first.start();
  await queues.add(TIER, [jobOf({ batch: 'a' })], () => 5);
  await taken.promise;
  second.start();
  await until(async () => /cmd=bzpopmin/.test(String(await redis.client.call('CLIENT', 'LIST'))));
  const putBackMs = performance.now();
  held.resolve();
  await given.promise;
  const waitedMs = performance.now() - putBackMs;
  assert.ok(waitedMs < 2_000, `${waitedMs}`);
  assert.deepEqual(await queues.depth(TIER), { waiting: 0, active: 0, delayed: 0 });
});

test('a job that an ending worker puts back is taken up soon by one that waits, and never by its own last fetch', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'ending');
  await using queues = new Queues(store);
  const workerOf = (process: QueueWorkerOptions['process']): QueueWorker =>
    new QueueWorker(store, { tier: TIER, slots: new Slots(2), lockMs: 30_000, process, onError: () => undefined });
  const [taken, given] = [1, 2].map(() => Promise.withResolvers<void>());
  assert.ok(taken !== undefined && given !== undefined);
  const ended = new AbortController();
  const first = workerOf(async (_job, _token, { putBack }) => {
    taken.resolve();
    await once(ended.signal, 'abort');
    await putBack();
  });
  const second = workerOf(async (_job, _token, { complete }) => {
    await complete();
    given.resolve();
  });
  await using _second = { [Symbol.asyncDispose]: () => second.close(1_000) };
  const waiting = async (): Promise<number> =>
    String(await redis.client.call('CLIENT', 'LIST')).match(/cmd=bzpopmin/g)?.length ?? 0;
  first.start();
  await queues.add(TIER, [jobOf({ batch: 'a' })], () => 5);
  await taken.promise;
  // It has a call to spare, and waits for the next job.
  await until(async () => (await waiting()) === 1);
  second.start();
  await until(async () => (await waiting()) === 2);
  const endedMs = performance.now();
  ended.abort();
  await first.close(1_000);
  await given.promise;
  const waitedMs = performance.now() - endedMs;
  assert.ok(waitedMs < 2_000, `${waitedMs}`);
  assert.deepEqual(await queues.depth(TIER), { waiting: 0, active: 0, delayed: 0 });
});

test('a worker that waits looks once for a job that comes, and waits on; of several jobs at once each that waits has one', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'looks');
  await using queues = new Queues(store);
  let done = 0;
  let held = Promise.withResolvers<void>();
  held.resolve();
  const workers = [1, 2, 3].map(
    () =>
      new QueueWorker(store, {
        tier: TIER,
        slots: new Slots(1),
        // Nothing is asked for locks, or for those that were lost, while commands are counted.
        lockMs: 3_600_000,
        process: async (_job, _token, { complete }) => {
          done += 1;
          await held.promise;
          await complete();
        },
        onError: () => undefined,
      }),
  );
  await using _workers = {
    [Symbol.asyncDispose]: async () => void (await Promise.all(workers.map((one) => one.close(1_000)))),
  };
  const waiting = async (count: number): Promise<void> =>
    await until(async () => {
      const clients = String(await redis.client.call('CLIENT', 'LIST'));
      return (clients.match(/flags=b /g)?.length ?? 0) === count;
    });
  /** How often a command was called. */
  const calls = async (command: string): Promise<number> =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await redis.client.info('commandstats'))?.[1] ?? 0);
  const [first, ...others] = workers;
  first?.start();
  await waiting(1);
  const JOBS = 10;
  const come = async (from: number): Promise<void> => {
    for (let document = from; document < from + JOBS; document += 1) {
      const isDone = done + 1;
      await queues.add(TIER, [jobOf({ batch: 'a', document })], () => 5);
      await until(async () => done === isDone);
      await until(async () => (await redis.client.llen(`${store.keys.queue(TIER)}:active`)) === 0);
      await waiting(1);
    }
  };
  // Redis knows the scripts then.
  await come(0);
  const before = [await calls('bzpopmin'), await calls('evalsha')] as const;
  await come(JOBS);
  assert.equal((await calls('bzpopmin')) - before[0], JOBS);
  // One adds it, one takes it up, one ends it.
  assert.equal((await calls('evalsha')) - before[1], 3 * JOBS);

  for (const one of others) one.start();
  await waiting(3);
  held = Promise.withResolvers();
  const more = [30, 31, 32].map((document) => jobOf({ batch: 'a', document }));
  await queues.add(TIER, more, () => 5);
  await until(async () => done === 2 * JOBS + 3);
  held.resolve();
  await until(async () => {
    const { waiting: left, active, delayed } = await queues.depth(TIER);
    return left + active + delayed === 0;
  });
  await waiting(3);
  assert.deepEqual(await queues.depth(TIER), { waiting: 0, active: 0, delayed: 0 });
});

test('a job that is to wait is taken up when it is due, whatever came meanwhile', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'due');
  await using queues = new Queues(store);
  const takenAtMs = new Map<string, number>();
  const worker = new QueueWorker(store, {
    tier: TIER,
    slots: new Slots(1),
    lockMs: 30_000,
    process: async (job, _token, { complete }) => {
      takenAtMs.set(job.id ?? '', performance.now());
      await complete();
    },
    onError: () => undefined,
  });
  await using _worker = { [Symbol.asyncDispose]: () => worker.close(1_000) };
  worker.start();
  const add = async (document: number, afterMs: number): Promise<void> =>
    await queues.add(TIER, [jobOf({ batch: 'a', document })], () => 5, { afterMs });
  const [first, second] = [1_000, 1_500];
  const addedMs = performance.now();
  /** When this process, and Redis, would have had their turn then: a busy machine is late with everything. */
  const turnAfter = async (ms: number): Promise<number> => {
    await pause(ms);
    await redis.client.ping();
    return performance.now();
  };
  const turns = Promise.all([turnAfter(first), turnAfter(second)]);
  await add(1, first);
  await add(2, second);
  for (let document = 10; document < 15; document += 1) {
    await add(document, 0);
    await until(async () => takenAtMs.has(`a-${document}`));
  }
  await until(async () => takenAtMs.has('a-2'), 10_000);
  const [firstTurn, secondTurn] = await turns;
  for (const [id, afterMs, turnMs] of [
    ['a-1', first, firstTurn],
    ['a-2', second, secondTurn],
  ] as const) {
    const takenMs = takenAtMs.get(id) ?? 0;
    assert.ok(takenMs - addedMs >= afterMs, `${id}: ${takenMs - addedMs}`);
    assert.ok(takenMs - turnMs < 1_000, `${id}: ${takenMs - turnMs}`);
  }
});
