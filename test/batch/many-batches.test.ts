import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { KEYS, LIMITS, RECORDS } from '@spillway/core';
import { close, enqueuePage, type RedisStore } from '@spillway/redis';
import { EnvReader, openTelemetry } from '@spillway/runtime';
import type { Storage } from '@spillway/storage';
import { z } from 'zod';
import { OpenBatches } from '../../services/api/src/batches/open.ts';
import { Ender } from '../../services/dispatcher/src/end.ts';
import { Enqueuer } from '../../services/dispatcher/src/enqueue.ts';
import { Finisher } from '../../services/dispatcher/src/finish.ts';
import { Precedence } from '../../services/dispatcher/src/precedence.ts';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { Sweep } from '../../services/dispatcher/src/sweep.ts';
import { Validator } from '../../services/dispatcher/src/validate.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { rulesOf } from '../support/jobs.ts';
import { manifestOf, validatedOf } from '../support/records.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';

let redis: RedisServer;
let directory: string;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-many-'));
});
after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const never = new AbortController().signal;
const facts = { tenant: 'a', createdAtMs: Date.now(), expiresAtMs: Date.now() + 86_400_000 };
const page = { first: 0, documents: 1, offset: 0, bytes: 100, lineBefore: 0 };

/** An open batch as the API and the validation write it, without waiting for the disk. */
function write(path: string, id: string): void {
  const put = (key: string, record: unknown): void => {
    mkdirSync(dirname(join(path, key)), { recursive: true });
    writeFileSync(join(path, key), JSON.stringify(record));
  };
  put(KEYS.openMark(id), {});
  put(KEYS.manifest(id), z.encode(RECORDS.manifest, manifestOf(id, { ...facts, cascades: { test: rulesOf() } })));
  put(KEYS.validated(id), z.encode(RECORDS.validated, validatedOf(facts.createdAtMs, ['test'], [page])));
}

/** All that Redis was asked so far. */
async function commands({ client }: RedisStore): Promise<number> {
  const stats = await client.info('commandstats');
  return stats.matchAll(/calls=(\d+)/g).reduce((sum, [, calls]) => sum + Number(calls), 0);
}

/** What passes over so many open batches that wait for capacity ask of Redis and of storage. */
async function askedBy(batches: number) {
  const path = join(directory, `${batches}`);
  for (let at = 0; at < batches; at += 1) write(path, `batch_${at}`);
  let asked = 0;
  const counting = (storage: Storage): Storage =>
    new Proxy(storage, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        asked += 1;
        return value.bind(target);
      },
    });
  await using parts = await dispatcherParts(redis, `many-${batches}`, path, counting);
  await recoverIfNeeded(parts, 'many', never);
  // Its way is full, so that all the others wait.
  await enqueuePage(parts.redis, 'batch_0', 0, page, 2 * LIMITS.inFlightBytesPerWay);
  const telemetry = await openTelemetry('test', new EnvReader({}), parts.log);
  const finisher = new Finisher({ ...parts, webhooks: { mark: async () => undefined }, telemetry });
  const limits = { lines: LIMITS.batchLines, lineBytes: LIMITS.lineBytes };
  const precedence = new Precedence(parts);
  const options = { ...parts, finisher, limits, precedence, sampling: null, spans: null };
  const [validator, enqueuer, ender] = [new Validator(options), new Enqueuer(options), new Ender(options)];
  parts.live.begin([parts.outlines, validator, enqueuer, ender]);
  const pass = async (): Promise<void> => {
    await parts.live.refresh();
    assert.equal(await validator.validateSome(), false);
    assert.equal(await enqueuer.enqueueSome(), false);
    await ender.endSome();
  };
  // The first ones look at each batch once.
  for (let first = 0; first < 12; first += 1) await pass();
  const measured = async (work: () => Promise<void>) => {
    const [redisBefore, storageBefore] = [await commands(parts.redis), asked];
    await work();
    return { redis: (await commands(parts.redis)) - redisBefore, storage: asked - storageBefore };
  };
  const idle = await measured(pass);
  const open = new OpenBatches(parts);
  assert.equal((await open.read()).batches.length, batches);
  const answered = await measured(async () => assert.equal((await open.read()).batches.length, batches));
  await close(parts.redis, `batch_${batches - 1}`, 'cancelled');
  parts.live.noteChange(`batch_${batches - 1}`);
  const changed = await measured(() => parts.live.refresh());
  const swept = await measured(() => new Sweep(options).sweepSome(never));
  // Some of them are read again each time, whatever is known of them.
  for (let reads = 0; reads < 6; reads += 1) await open.read();
  assert.equal((await open.read()).batches.length, batches - 1);
  return { idle, changed, swept, answered };
}

test('a pass asks for what can be done in it, and not for every open batch', async () => {
  const few = await askedBy(250);
  const many = await askedBy(1_000);
  // The capacity is measured from time to time, with a dozen questions: the one pass may have done it, the other not.
  assert.ok(few.idle.redis > 0 && many.idle.redis <= few.idle.redis + 20, JSON.stringify([few, many]));
  assert.equal(many.idle.storage, 0);
  assert.deepEqual(many.changed, few.changed);
  assert.equal(many.changed.storage, 0);
  assert.ok(many.answered.redis <= few.answered.redis + 5, JSON.stringify([few, many]));
  assert.ok(many.swept.redis < 5 * few.swept.redis, JSON.stringify([few, many]));
});
