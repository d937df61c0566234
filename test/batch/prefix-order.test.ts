import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { byPrefix, readJob, type JobData } from '@spillway/core';
import { enqueuePage, Heartbeat, TierLoads } from '@spillway/redis';
import { addDocuments } from '../../services/dispatcher/src/document-jobs.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { writeRecords } from '../support/records.ts';
import { startRedis } from '../support/redis.ts';
import { markRecovered, openBatch } from '../support/stores.ts';

const TEXTS = 16;
const PAGE = { first: 0, documents: 64, offset: 0, bytes: 1024 * 1024, lineBefore: 0 };

/** The first question about every text, then the second: in that order no cache that is smaller than all texts is of use. */
const requestOf = (at: number) => {
  const content = `${`text ${at % TEXTS} `.padEnd(14_000, `words of ${at % TEXTS}, `)}question ${at}`;
  const body = { model: 'test', messages: [{ role: 'user', content }] };
  return { customId: `doc-${at}`, cascade: 'test', body };
};

test('a page is enqueued in the order that a prefix cache likes, each document once, in bundles and alone', async () => {
  await using redis = await startRedis();
  const directory = await mkdtemp(join(tmpdir(), 'spillway-prefixes-'));
  await using parts = await dispatcherParts(redis, 'prefixes', directory);
  await using _directory = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
  await markRecovered(parts.redis);
  await new Heartbeat(parts.redis, 'drafter.small').beat({ concurrency: 16, secondsPerDocument: 1, paused: null });
  const documents = Array.from({ length: PAGE.documents }, (_, at) => ({
    kind: 'request' as const,
    request: requestOf(at),
  }));
  const requests = documents.map(({ request }, place) => ({ place, request }));
  const expected = byPrefix(requests).map(({ place }) => place);
  assert.notDeepEqual(expected, [...documents.keys()]);
  for (const [id, isBundled] of [
    ['batch_bundles', true],
    ['batch_alone', false],
  ] as const) {
    await writeRecords(parts.storage, id, 'default', undefined, [PAGE]);
    await openBatch(parts.redis, id, PAGE.documents, 1);
    const plan = await parts.records.plan(id);
    assert.ok(plan !== null);
    await enqueuePage(parts.redis, id, 0, PAGE, 1_000);
    const loads = isBundled ? new TierLoads(parts.redis, parts.queues) : null;
    const places = [...documents.keys()];
    await addDocuments({ ...parts, sampling: null }, { plan, page: 0, documents, places, loads });
    const jobs = await parts.queues.of('drafter.small').getJobs(['prioritized'], 0, -1, true);
    const own = jobs
      .map(({ data }) => readJob(data as JobData))
      .flatMap((job) => ('documents' in job ? [job.documents] : []))
      .filter(([first]) => first?.batch === id);
    assert.equal(own.length < PAGE.documents, isBundled);
    const queued = own.flat();
    assert.deepEqual(
      queued.map(({ place }) => place),
      expected,
    );
    for (const { place, customId, document } of queued) assert.deepEqual([customId, document], [`doc-${place}`, place]);
  }
});
