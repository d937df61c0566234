import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KEYS } from '@spillway/core';
import { Heartbeat, lostDocuments, readBatch } from '@spillway/redis';
import { Enqueuer } from '../../services/dispatcher/src/enqueue.ts';
import { Precedence } from '../../services/dispatcher/src/precedence.ts';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { writeRecords } from '../support/records.ts';
import { startRedis } from '../support/redis.ts';
import { requestLine } from '../support/request-line.ts';

const DOCUMENTS = 40;
const TIER = 'drafter.small';

test('a page that was enqueued in part, with jobs of another size: each document has one job', async () => {
  await using redis = await startRedis();
  const directory = await mkdtemp(join(tmpdir(), 'spillway-enqueue-'));
  await using _directory = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
  const file = Array.from({ length: DOCUMENTS }, (_, at) => `${requestLine('x', `doc-${at}`)}\n`).join('');
  const page = { first: 0, documents: DOCUMENTS, offset: 0, bytes: Buffer.byteLength(file), lineBefore: 0 };
  /** A dispatcher that has just come to lead, when jobs are to have so many documents. */
  const leading = async (size: number) => {
    const parts = await dispatcherParts(redis, 'enqueue', directory);
    const beat = { concurrency: 2, secondsPerDocument: 0.5 / size, paused: null };
    await new Heartbeat(parts.redis, TIER).beat(beat);
    const enqueuer = new Enqueuer({ ...parts, precedence: new Precedence(parts), sampling: null });
    parts.live.begin([parts.outlines, enqueuer]);
    const enqueue = async (): Promise<number | undefined> => {
      await parts.live.refresh();
      await enqueuer.enqueueSome();
      return (await readBatch(parts.redis, 'batch_a'))?.enqueued;
    };
    return { ...parts, enqueue };
  };
  await using first = await leading(2);
  await first.storage.create(KEYS.fileBytes('file-0'), Buffer.from(file));
  await writeRecords(first.storage, 'batch_a', 'a', undefined, [page]);
  await recoverIfNeeded(first, 'test', new AbortController().signal);
  const add = first.queues.add.bind(first.queues);
  // It loses its connection when Redis has taken some of the jobs.
  first.queues.add = async (name, documents, tagOf, options) => {
    await add(name, documents.slice(0, 6), tagOf, options);
    throw new Error('Connection is closed.');
  };
  assert.equal(await first.enqueue(), 0);
  assert.equal((await first.queues.depth(TIER)).waiting, 6);
  await using next = await leading(10);
  assert.equal(await next.enqueue(), DOCUMENTS);
  const where = { first: 0, enqueuedDocuments: DOCUMENTS, tiers: [TIER, 'expert.large'] };
  assert.deepEqual(await lostDocuments(next.redis, 'batch_a', 0, where), []);
  assert.equal((await next.queues.depth(TIER)).waiting, DOCUMENTS);
});
