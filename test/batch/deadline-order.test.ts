import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KEYS, RECORDS } from '@spillway/core';
import { Heartbeat, readBatch } from '@spillway/redis';
import { createRecord, type Storage } from '@spillway/storage';
import { Enqueuer } from '../../services/dispatcher/src/enqueue.ts';
import { Precedence } from '../../services/dispatcher/src/precedence.ts';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { rulesOf } from '../support/jobs.ts';
import { figuresOf } from '../support/order/figures.ts';
import { manifestOf, validatedOf } from '../support/records.ts';
import { startRedis } from '../support/redis.ts';
import { requestLine } from '../support/request-line.ts';
import { System, until } from '../support/system.ts';

/** The first of the thousand mixes that `node test/bench/deadline-order.ts` runs. */
const SEEDS = Array.from({ length: 25 }, (_, seed) => seed);

test('of a sample of mixes nearly all windows that could be kept are kept, and tenants have their shares', () => {
  const { before, rule } = figuresOf(SEEDS);
  assert.ok(before.missed > 0.02 * before.keepable, `without the rule ${before.missed} of ${before.keepable}`);
  assert.ok(rule.missed <= 0.01 * rule.keepable, `${rule.missed} of ${rule.keepable}`);
  const [least = 1] = rule.shares;
  assert.ok(least > 0.9, `${least}`);
});

const DOCUMENTS = 100;

/** A batch whose every page is one line of the same file. */
async function write(storage: Storage, id: string, tenant: string, { documents, windowMs }: Written): Promise<void> {
  const { bytes } = LINE;
  const pages = Array.from({ length: documents }, (_, at) => ({
    first: at,
    documents: 1,
    offset: at * bytes,
    bytes,
    lineBefore: at,
  }));
  const createdAtMs = Date.now();
  const facts = { tenant, createdAtMs, expiresAtMs: createdAtMs + windowMs, cascades: { test: rulesOf() } };
  await storage.create(KEYS.openMark(id), Buffer.from('{}'));
  await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifestOf(id, facts));
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, validatedOf(createdAtMs, ['test'], pages));
}

type Written = { readonly documents: number; readonly windowMs: number };

const lineOf = (at: number): string => `${requestLine('x', `doc-${String(at).padStart(3, '0')}`)}\n`;
const LINE = { bytes: Buffer.byteLength(lineOf(0)) };
const DAY_MS = 86_400_000;

test('pages of a batch in danger are enqueued before those of its tenant, which has no more of the capacity for it', async () => {
  await using redis = await startRedis();
  const directory = await mkdtemp(join(tmpdir(), 'spillway-deadlines-'));
  await using parts = await dispatcherParts(redis, 'deadlines', directory);
  await using _directory = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
  const file = Array.from({ length: DOCUMENTS }, (_, at) => lineOf(at)).join('');
  await parts.storage.create(KEYS.fileBytes('file-0'), Buffer.from(file));
  await write(parts.storage, 'batch_old', 'a', { documents: DOCUMENTS, windowMs: DAY_MS });
  await write(parts.storage, 'batch_new', 'a', { documents: DOCUMENTS, windowMs: DAY_MS });
  await write(parts.storage, 'batch_due', 'a', { documents: 40, windowMs: 60_000 });
  await write(parts.storage, 'batch_other', 'b', { documents: DOCUMENTS, windowMs: DAY_MS });
  await recoverIfNeeded(parts, 'test', new AbortController().signal);
  const precedence = new Precedence(parts);
  const enqueuer = new Enqueuer({ ...parts, precedence, sampling: null });
  parts.live.begin([parts.outlines, enqueuer]);
  const enqueuedBy = async () => {
    await parts.live.refresh();
    await enqueuer.enqueueSome();
    const ids = ['old', 'new', 'due', 'other'];
    const states = await Promise.all(ids.map((id) => readBatch(parts.redis, `batch_${id}`)));
    return Object.fromEntries(ids.map((id, at) => [id, states[at]?.enqueued]));
  };
  // Two documents a second, of which the tenant has one: all 40 take 40 s alone, and 120 s beside two others.
  await new Heartbeat(parts.redis, 'drafter.small').beat({ concurrency: 2, secondsPerDocument: 1, paused: null });
  await precedence.decide();
  assert.deepEqual(precedence.of('a'), ['batch_due']);
  assert.deepEqual(await enqueuedBy(), { old: 0, new: 0, due: 32, other: 32 });
  assert.deepEqual(await enqueuedBy(), { old: 12, new: 12, due: 40, other: 64 });
});

test('a batch that is nearly due is put before a large one that waits, and one that nothing can keep is not', async () => {
  await using system = await System.create();
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  const prompts = (count: number): string[] => Array.from({ length: count }, (_, at) => `x ${at}`);
  const large = await system.submit(prompts(600));
  const late = await system.submit(prompts(700), { window: '1m' });
  const due = await system.submit(prompts(200), { window: '1m' });
  const waiting = () => system.redis.client.zrange('{test}:drafter.small:prioritized', '0', '-1');
  await until(async () => (await waiting()).length === 1_500);
  const before = await waiting();
  assert.ok(before.slice(0, 200).some((id) => id.startsWith(large.id)));
  const key = '{test}:tier:drafter.small';
  const batchOf = (id: string): string => id.slice(0, id.lastIndexOf('-'));
  await until(async () => {
    // Ten documents a second: 200 take 20 s alone, and 60 s beside two others; 700 take longer than there is.
    const [seconds] = await system.redis.client.time();
    await system.redis.client.hset(key, 'worker', `${String(seconds)} 10 `, '#seconds', '1');
    return (await waiting()).slice(0, 200).every((id) => batchOf(id) === due.id);
  });
  const rest = (await waiting()).slice(200).map(batchOf);
  assert.ok(rest.indexOf(large.id) < 10 && rest.indexOf(late.id) < 10, 'the others go on as they were');
});

test('batches of a tenant of which none is hurried have no more of a queue together than one would have', async () => {
  await using system = await System.create();
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  const prompts = Array.from({ length: 300 }, (_, at) => `x ${at}`);
  const queue = '{test}:drafter.small';
  const waiting = () => system.redis.client.zcard(`${queue}:prioritized`);
  for (const submitted of [1, 2, 3]) {
    await system.submit(prompts);
    await until(async () => (await waiting()) === submitted * prompts.length);
  }
  const tags = async (): Promise<Set<number>> => {
    const scores = await system.redis.client.zrange(`${queue}:prioritized`, '0', '-1', 'WITHSCORES');
    return new Set(scores.flatMap((score, at) => (at % 2 === 1 ? [Math.floor(Number(score) / 2 ** 32)] : [])));
  };
  await until(async () => (await tags()).size === 3 * prompts.length);
});
