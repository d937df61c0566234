import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { addCounts, NO_COUNTS, stageCounter, type Counts, type Result } from '@spillway/core';
import { close, enqueuePage, fullPages, isRecovering, readBatch, readPage, settle } from '@spillway/redis';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { sealFullPages } from '../../services/dispatcher/src/seal.ts';
import { dispatcherParts, type DispatcherParts } from '../support/dispatcher.ts';
import { writeRecords } from '../support/records.ts';
import { startRedis, type LoneRedis } from '../support/redis.ts';
import { openBatch } from '../support/stores.ts';
import { until } from '../support/system.ts';

let redis: LoneRedis;
let directory: string;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-cut-file-'));
});

after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const never = new AbortController().signal;
const DOCUMENTS = 3;
const plan = { first: 0, documents: DOCUMENTS, offset: 0, bytes: 100, lineBefore: 0 };

/** What a document counts that the last of three stages answered. */
const COUNTS: Partial<Counts> = {
  completed: 1,
  escalated: 1,
  allExpertNanoUsd: 21_000,
  [stageCounter('test', 0, 'escalated')]: 1,
  [stageCounter('test', 0, 'nanoUsd')]: 3,
  [stageCounter('test', 2, 'answered')]: 1,
};

const result = (place: number): Result => ({
  line: { part: 'output', text: JSON.stringify({ place }) },
  counts: COUNTS,
  cascade: 'test',
  times: { stages: [], sequentialMs: null, totalMs: place },
});

const settlePlaces = async (
  { redis: store }: DispatcherParts,
  id: string,
  places: readonly number[],
): Promise<void> => {
  for (const place of places) await settle(store, { batch: id, page: 0, place }, result(place));
};

/** Redis comes up again after each crash, on what its append-only file holds. */
const recover = async (parts: DispatcherParts): Promise<void> => {
  await until(() => isRecovering(parts.redis).catch(() => false));
  assert.equal(await recoverIfNeeded(parts, 'test', never), true);
};

/**
 * Redis leaves the beginning of a transaction in a file that was cut within one, leaves it out when it starts, and adds
 * it, with whatever was written behind it, when it starts once more.
 */
for (const [what, between] of [
  ['the same document was settled again', [1]],
  ['another document was settled', [2]],
  ['all were settled', [2, 1]],
  ['nothing was settled', []],
  ['no recovery was done', null],
] as const) {
  test(`a file cut within a result counts it once, although Redis starts twice: between, ${what}`, async () => {
    for (let cut = 1; cut < 800; cut += 90) {
      const id = `batch_${cut}_${between?.join('') ?? 'none'}`;
      await using parts = await dispatcherParts(redis, id, join(directory, id));
      const { redis: store } = parts;
      await recover(parts);
      await writeRecords(parts.storage, id, 'default', undefined, [plan]);
      await openBatch(store, id, DOCUMENTS, 1);
      await enqueuePage(store, id, 0, plan, 100);
      await settlePlaces(parts, id, [0, 1]);
      await redis.restart({ loseBytes: cut });
      if (between !== null) {
        await recover(parts);
        await settlePlaces(parts, id, between);
      } else await redis.client.multi().set('by', 'another').set('by', 'somebody').exec();
      await redis.restart();
      await recover(parts);
      await enqueuePage(store, id, 0, plan, 100);
      await settlePlaces(parts, id, [0, 1, 2]);

      const expected = [0, 1, 2].reduce((sum: Counts) => addCounts(sum, COUNTS), NO_COUNTS);
      assert.deepEqual((await readPage(store, id, 0)).counts, expected, `${cut} bytes cut`);
      assert.deepEqual((await readBatch(store, id))?.counts, expected, `${cut} bytes cut`);
      assert.deepEqual(await fullPages(store), [{ batch: id, page: 0 }], `${cut} bytes cut`);
      await sealFullPages(parts);
      const { counts, sealedPages } = (await readBatch(store, id)) ?? {};
      assert.deepEqual([counts, sealedPages], [expected, 1]);
      assert.equal((await close(store, id, 'completed')).kind, 'CLOSED');
      await rm(join(directory, id), { recursive: true });
    }
  });
}
