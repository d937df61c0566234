import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readJob, type JobData } from '@spillway/core';
import { enqueuePage, Heartbeat, TierLoads } from '@spillway/redis';
import { addDocuments } from '../../services/dispatcher/src/document-jobs.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { writeRecords } from '../support/records.ts';
import { startRedis } from '../support/redis.ts';
import { markRecovered, openBatch } from '../support/stores.ts';

const TIER = 'drafter.small';
const DOCUMENTS = 64;
/** What 64 calls of a second, which an unmeasured one is taken to last, take up in the moment that a bundle may wait. */
const FULL = 16;
const PAGES = Array.from({ length: 20 }, (_, page) => ({
  first: page * DOCUMENTS,
  documents: DOCUMENTS,
  offset: 0,
  bytes: 16 * 1024,
  lineBefore: 0,
}));

const requestOf = (at: number) => {
  const body = { model: 'test', messages: [{ role: 'user', content: `document ${at}` }] };
  return { customId: `doc-${at}`, cascade: 'test', body };
};

test('bundles are full from the first page of a large batch on, before anybody measured a call, and small in its last', async () => {
  await using redis = await startRedis();
  const directory = await mkdtemp(join(tmpdir(), 'spillway-bundles-'));
  await using parts = await dispatcherParts(redis, 'bundles', directory);
  await using _directory = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
  await markRecovered(parts.redis);
  await new Heartbeat(parts.redis, TIER).beat({ concurrency: 64, secondsPerDocument: null, paused: null });
  await writeRecords(parts.storage, 'batch_large', 'default', undefined, PAGES);
  await openBatch(parts.redis, 'batch_large', PAGES.length * DOCUMENTS, PAGES.length);
  const plan = await parts.records.plan('batch_large');
  assert.ok(plan !== null);
  const documents = Array.from({ length: DOCUMENTS }, (_, at) => ({
    kind: 'request' as const,
    request: requestOf(at),
  }));
  const places = [...documents.keys()];
  const sizesOf = async (page: number): Promise<number[]> => {
    const at = PAGES[page];
    assert.ok(at !== undefined);
    await enqueuePage(parts.redis, 'batch_large', page, at, 1_000);
    await addDocuments(
      { ...parts, sampling: null },
      { plan, page, documents, places, loads: new TierLoads(parts.redis, parts.queues) },
    );
    const jobs = await parts.queues.of(TIER).getJobs(['prioritized'], 0, -1, true);
    const contents = jobs.map(({ data }) => readJob(data as JobData));
    const sizes = contents.flatMap((job) =>
      'documents' in job && job.documents[0]?.page === page ? [job.documents.length] : [],
    );
    await parts.queues.of(TIER).drain();
    return sizes;
  };
  assert.deepEqual(
    await sizesOf(0),
    Array.from({ length: DOCUMENTS / FULL }, () => FULL),
  );
  assert.deepEqual(
    await sizesOf(PAGES.length - 1),
    Array.from({ length: DOCUMENTS }, () => 1),
  );
});
