import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { addCounts, NO_COUNTS, readCounts, stageCounter, type Result } from '@spillway/core';
import { close, distrust, enqueuePage, readBatch, settle } from '@spillway/redis';
import { readFooters } from '@spillway/storage';
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
const PLACES = PAGES.flatMap((_, page) =>
  Array.from({ length: PAGE }, (_place, place) => ({ batch: ID, page, place })),
);

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

type Before = () => Promise<void>;

/** A process before whose every script, and every look at storage, something else is done. */
function interrupted(parts: DispatcherParts, doFirst: Before): DispatcherParts {
  const waiting = <T extends object>(target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get: (from, name) => {
        const value: unknown = Reflect.get(from, name);
        if (typeof value !== 'function') return value;
        const call = value.bind(from) as (...args: unknown[]) => unknown;
        return names.includes(String(name)) ? (...args: unknown[]) => doFirst().then(() => call(...args)) : call;
      },
    });
  const client = waiting(parts.redis.client, ['evalsha', 'hgetall', 'smembers']);
  const store = new Proxy(parts.redis, {
    get: (from, name) => (name === 'client' ? client : (Reflect.get(from, name) as unknown)),
  });
  return { ...parts, redis: store, storage: waiting(parts.storage, ['create', 'read', 'size', 'list', 'readRange']) };
}

/** Settles what is not settled yet, while Redis counts as recovered. */
const settleAll = async ({ redis: store }: DispatcherParts): Promise<void> => {
  for (const [at, where] of PLACES.entries()) await settle(store, where, resultOf(at));
};

/** How far another dispatcher's recovery comes before the others are done with theirs, and before all is sealed. */
type Order = { readonly recoveredBefore: number | null; readonly sealedBefore: number };

/** Answers whether the recovery came so far. */
async function check({ recoveredBefore, sealedBefore }: Order): Promise<boolean> {
  const namespace = `orders${(run += 1)}`;
  const path = join(directory, namespace);
  await using parts = await dispatcherParts(redis, namespace, path);
  const { redis: store, storage } = parts;
  await recoverIfNeeded(parts, 'first', never);
  await writeRecords(storage, ID, 'default', undefined, PAGES);
  await openBatch(store, ID, PLACES.length, PAGES.length);
  for (const [page, plan] of PAGES.entries()) await enqueuePage(store, ID, page, plan, 100);
  for (const [at, where] of PLACES.entries()) if (at <= PAGE) await settle(store, where, resultOf(at));
  await distrust(store);

  let steps = 0;
  const doFirst = async (): Promise<void> => {
    const step = steps;
    steps += 1;
    if (step === recoveredBefore) await recoverIfNeeded(parts, 'other', never);
    if (step !== sealedBefore) return;
    await settleAll(parts);
    await sealFullPages(parts);
  };
  await recoverIfNeeded(interrupted(parts, doFirst), 'slow', never);

  await recoverIfNeeded(parts, 'last', never);
  await settleAll(parts);
  await sealFullPages(parts);
  const footers = (await readFooters(storage, ID, PAGES.keys())).filter((footer) => footer !== null);
  const sums = footers.reduce((sum, footer) => addCounts(sum, readCounts(footer)), NO_COUNTS);
  const state = await readBatch(store, ID);
  const what = `recovered before step ${recoveredBefore}, sealed before step ${sealedBefore}`;
  assert.deepEqual([state?.counts, state?.sealedPages], [sums, PAGES.length], what);
  assert.equal(sums.completed + sums.failed, PLACES.length, what);
  assert.equal((await close(store, ID, 'completed')).kind, 'CLOSED', what);
  await rm(path, { recursive: true });
  return steps > sealedBefore;
}

for (const [what, recoveredBefore] of [
  ['no other recovery', () => null],
  ['another recovery over before it begins', () => 0],
  ['another recovery over in the middle of it', (step: number) => step],
] as const) {
  test(`a full page is sealed before each step of a recovery, with ${what}: counters are the sums of the footers`, async () => {
    let step = 0;
    while (await check({ recoveredBefore: recoveredBefore(step), sealedBefore: step })) step += 1;
    assert.ok(step > 0);
  });
}
