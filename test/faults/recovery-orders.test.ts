import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { addCounts, KEYS, NO_COUNTS, readCounts, stageCounter, type Result } from '@spillway/core';
import { close, distrust, enqueuePage, fullPages, readBatch, settle, type RedisStore } from '@spillway/redis';
import { readFooters } from '@spillway/storage';
import fc from 'fast-check';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { sealFullPages } from '../../services/dispatcher/src/seal.ts';
import { dispatcherParts, type DispatcherParts } from '../support/dispatcher.ts';
import { writeRecords } from '../support/records.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { openBatch } from '../support/stores.ts';

let redis: RedisServer;
let directory: string;
let run = 0;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-recovery-orders-'));
});

after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const never = new AbortController().signal;
const ID = 'batch_orders';
const PAGE = 2;
const PAGES = [0, 1, 2].map((page) => ({ first: page * PAGE, documents: PAGE, offset: 0, bytes: 1, lineBefore: 0 }));
const PLACES = PAGES.flatMap((_, page) => Array.from({ length: PAGE }, (_place, place) => ({ batch: ID, page, place })));

/** Documents answered at the first stage, at the second, and not at all. */
function resultOf(place: number): Result {
  const isFailed = place % 3 === 2;
  return {
    line: { part: isFailed ? 'error' : 'output', text: JSON.stringify({ place }) },
    counts: isFailed
      ? { failed: 1, 'error/400': 1 }
      : { completed: 1, allExpertNanoUsd: 5, [stageCounter('test', place % 3, 'answered')]: 1 },
    cascade: 'test',
    times: { stages: [], sequentialMs: null, totalMs: place },
  };
}

type Turn = () => Promise<void>;

/** A process whose every script, and every look at storage, comes when it is its turn. */
function inTurn(parts: DispatcherParts, turn: Turn): DispatcherParts {
  const waiting = <T extends object>(target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get: (from, name) => {
        const value: unknown = Reflect.get(from, name);
        if (typeof value !== 'function') return value;
        const call = value.bind(from) as (...args: unknown[]) => unknown;
        return names.includes(String(name)) ? (...args: unknown[]) => turn().then(() => call(...args)) : call;
      },
    });
  const client = waiting(parts.redis.client, ['evalsha', 'hgetall', 'smembers']);
  const store = new Proxy(parts.redis, {
    get: (from, name) => (name === 'client' ? client : (Reflect.get(from, name) as unknown)),
  }) as RedisStore;
  return { ...parts, redis: store, storage: waiting(parts.storage, ['create', 'read', 'size', 'list', 'readRange']) };
}

const settled = async ({ redis: store }: DispatcherParts, at: number): Promise<void> => {
  const where = PLACES[at];
  assert.ok(where !== undefined);
  for (let tries = 0; tries < 500; tries += 1) {
    if ((await settle(store, where, resultOf(at))) !== 'RECOVERING') return;
  }
  assert.fail('it never recovers');
};

const sealing = async (parts: DispatcherParts, isOver: () => boolean): Promise<void> => {
  for (let looks = 0; looks < 20 || !isOver(); looks += 1) await sealFullPages(parts);
};

const settledBefore = fc.subarray(PLACES.map((_, at) => at));
/** How many turns a process waits before its first step. */
const lateness = fc.integer({ min: 0, max: 150 });

test('recoveries, also one that begins late, between what is settled and sealed: counters are the sums of the footers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), settledBefore, lateness, lateness, async (scheduler, known, late, sealedLate) => {
      const namespace = `orders${(run += 1)}`;
      const path = join(directory, namespace);
      await using parts = await dispatcherParts(redis, namespace, path);
      const { redis: store, storage } = parts;
      await recoverIfNeeded(parts, 'first', never);
      await writeRecords(storage, ID, 'default', undefined, PAGES);
      await openBatch(store, ID, PLACES.length, PAGES.length);
      for (const [page, plan] of PAGES.entries()) await enqueuePage(store, ID, page, plan, 100);
      for (const at of known) await settled(parts, at);
      await distrust(store);

      const waiting = (first: number) => {
        let more = first;
        return async () => {
          for (; more > 0; more -= 1) await scheduler.schedule(Promise.resolve());
          await scheduler.schedule(Promise.resolve());
        };
      };
      const mine = inTurn(parts, waiting(0));
      let isSettled = false;
      const settling = Promise.all(PLACES.map((_, at) => settled(mine, at))).then(() => (isSettled = true));
      const all = [
        recoverIfNeeded(mine, 'one', never),
        recoverIfNeeded(inTurn(parts, waiting(late)), 'two', never),
        settling,
        sealing(inTurn(parts, waiting(sealedLate)), () => isSettled),
        sealing(inTurn(parts, waiting(sealedLate * 2)), () => isSettled),
      ];
      await scheduler.waitFor(Promise.all(all));

      while ((await fullPages(store)).length > 0) assert.equal(await sealFullPages(parts), true);
      const footers = await readFooters(storage, ID, PAGES.keys());
      const sums = footers.reduce(
        (sum, footer) => addCounts(sum, footer === null ? {} : readCounts(footer)),
        NO_COUNTS,
      );
      const state = await readBatch(store, ID);
      assert.deepEqual([state?.counts, state?.sealedPages], [sums, PAGES.length]);
      assert.equal(sums.completed + sums.failed, PLACES.length);
      assert.equal((await close(store, ID, 'completed')).kind, 'CLOSED');
      assert.notEqual(await storage.size(KEYS.page(ID, 0)), null);
      await rm(path, { recursive: true });
    }),
    { numRuns: 40 },
  );
});
