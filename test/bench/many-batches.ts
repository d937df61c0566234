// What many open batches cost: `npm run bench:batches -- [batches,...] [ended | beside]`: 100,1000,10000 and both by default.
//
// `ended`: so many batches of three documents are found at the start, validated, answered by instant model servers and
// ended. `idle`: as many stay open, as nobody works in their tiers; the CPU that they take of the dispatcher and of Redis.
// `beside`: 200 batches that come then, of another cascade. The batches are written straight into storage: an API would
// take them one by one. Redis, the dispatcher, the workers and the model servers share the machine's cores.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KEYS, RECORD_VERSION, RECORDS } from '@spillway/core';
import { admit } from '@spillway/redis';
import { z } from 'zod';
import { rulesOf } from '../support/jobs.ts';
import { storeOn } from '../support/stores.ts';
import { requestLine } from '../support/request-line.ts';
import { System, until } from '../support/system.ts';
import { cpuS, report, residentMiB } from './processes.ts';

const DOCUMENTS = 3;
const BESIDE = 200;
const IDLE_MS = 20_000;
const MAX_MS = 3_600_000;
const BEGAN_MS = Date.now();
const INPUT = `file-${'0'.repeat(32)}`;

const counts = (process.argv[2] ?? '100,1000,10000').split(',').map(Number);
const idOf = (name: string): string => `batch_${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;

const only = process.argv[3] ?? '';

for (const batches of counts) {
  if (only !== 'beside') await measureEnded(batches);
  if (only !== 'ended') await measureBeside(batches);
}

async function measureEnded(batches: number): Promise<void> {
  await using system = await create();
  await system.run('dispatcher');
  await system.admitted();
  await stop(system);
  for (let at = 0; at < batches; at += 1) write(system, idOf(`ended-${at}`), 'test', at);
  await system.redis.client.flushall();
  await Promise.all([system.run('drafter'), system.run('expert')]);
  const began = performance.now();
  const dispatcher = await system.run('dispatcher');
  await dispatcher.waitFor(({ msg = '' }) => msg === 'recovered what Redis forgot from storage', MAX_MS);
  const recoveredS = (performance.now() - began) / 1000;
  await until(async () => (await system.redis.client.scard('{test}:batches')) === 0, MAX_MS);
  const seconds = (performance.now() - began) / 1000 - recoveredS;
  report({
    bench: 'ended',
    batches,
    recoveredS: round(recoveredS),
    seconds: round(seconds),
    batchesPerS: round(batches / seconds),
    dispatcherMsPerBatch: round((1000 * cpuS(dispatcher.child.pid)) / batches),
    dispatcherMiB: residentMiB(dispatcher.child.pid),
  });
}

async function measureBeside(batches: number): Promise<void> {
  await using system = await create();
  await system.run('dispatcher');
  await system.admitted();
  await stop(system);
  for (let at = 0; at < batches; at += 1) write(system, idOf(`stuck-${at}`), 'stuck', at, { isValidated: true });
  await system.redis.client.flushall();
  const began = performance.now();
  const dispatcher = await system.run('dispatcher');
  await dispatcher.waitFor(({ msg = '' }) => msg === 'recovered what Redis forgot from storage', MAX_MS);
  const recoveredS = (performance.now() - began) / 1000;
  const redisPid = Number(/process_id:(\d+)/.exec(await system.redis.client.info('server'))?.[1]);
  await quiet(dispatcher.child.pid);
  const [dispatcherBefore, redisBefore] = [cpuS(dispatcher.child.pid), cpuS(redisPid)];
  await delay(IDLE_MS);
  const share = (before: number, pid: number | undefined): number =>
    round((100 * (cpuS(pid) - before)) / (IDLE_MS / 1000));
  const idle = { dispatcher: share(dispatcherBefore, dispatcher.child.pid), redis: share(redisBefore, redisPid) };
  await Promise.all([system.run('drafter', { SPILLWAY_MODELS: 'small' }), system.run('expert')]);
  await using store = await storeOn(system.redis, 'test');
  const start = performance.now();
  const before = cpuS(dispatcher.child.pid);
  for (let at = 0; at < BESIDE; at += 1) {
    const id = idOf(`beside-${at}`);
    write(system, id, 'test', at);
    await admit(store, id, factsOf(at));
  }
  await until(async () => (await system.redis.client.scard('{test}:batches')) === batches, MAX_MS);
  const seconds = (performance.now() - start) / 1000;
  report({
    bench: 'beside',
    open: batches,
    recoveredS: round(recoveredS),
    idleCpuPercent: idle,
    batchesPerS: round(BESIDE / seconds),
    dispatcherMsPerBatch: round((1000 * (cpuS(dispatcher.child.pid) - before)) / BESIDE),
    dispatcherMiB: residentMiB(dispatcher.child.pid),
    redisMiB: round(Number(/used_memory:(\d+)/.exec(await system.redis.client.info('memory'))?.[1]) / 2 ** 20),
  });
}

function create(): Promise<System> {
  return System.create({
    moreModels:
      '  idle: { base_url: "http://127.0.0.1:9", model: idle }\n  gone: { base_url: "http://127.0.0.1:9", model: gone }',
    moreCascades: '  stuck: { drafter: idle, expert: gone, accept_at: 0.8 }',
    // As in production: the sweep is part of what many batches cost.
    env: { SPILLWAY_SWEEP_MS: '15000', SPILLWAY_POLL_MS: '100', SPILLWAY_RECOVERY_MS: '500' },
  });
}

async function stop(system: System): Promise<void> {
  for (const service of system.services) await service.stop();
}

function factsOf(at: number) {
  return { tenant: 'default', createdAtMs: BEGAN_MS + at, expiresAtMs: BEGAN_MS + 86_400_000 };
}

/** A batch as the API, and for an open one the dispatcher, writes it; without waiting for the disk. */
function write(
  system: System,
  id: string,
  cascade: string,
  at: number,
  { isValidated = false }: { readonly isValidated?: boolean } = {},
): void {
  const put = (key: string, text: string): void => {
    const path = join(system.directory, 'data', key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const lines = Array.from({ length: DOCUMENTS }, (_, index) =>
    requestLine(index === 0 ? '[[drafter unsure]] x' : 'x', `doc-${index}`, { model: cascade }),
  );
  const input = `${lines.join('\n')}\n`;
  const file = cascade === 'stuck' ? INPUT.replace('file-0', 'file-1') : INPUT;
  if (at === 0) {
    put(KEYS.fileBytes(file), input);
    const record: z.output<typeof RECORDS.file> = {
      v: RECORD_VERSION,
      id: file,
      tenant: 'default',
      filename: 'a.jsonl',
      purpose: 'batch',
      bytes: input.length,
      createdAtMs: BEGAN_MS,
      expiresAtMs: null,
      source: { kind: 'upload' },
    };
    put(KEYS.fileRecord(file), JSON.stringify(record));
  }
  const facts = factsOf(at);
  const models = cascade === 'stuck' ? ['idle', 'gone'] : ['small', 'large'];
  put(
    KEYS.manifest(id),
    JSON.stringify(
      z.encode(RECORDS.manifest, {
        v: RECORD_VERSION,
        id,
        ...facts,
        inputFileId: file,
        endpoint: '/v1/chat/completions',
        completionWindow: '24h',
        metadata: null,
        outputExpiresAfterSeconds: null,
        requestDigest: '',
        cascades: { [cascade]: rulesOf({ models }) },
      }),
    ),
  );
  if (isValidated) {
    const page = { first: 0, documents: DOCUMENTS, offset: 0, bytes: input.length - 1, lineBefore: 0 };
    const record = { v: RECORD_VERSION as 2, validatedAtMs: facts.createdAtMs, total: DOCUMENTS, cascades: [cascade] };
    put(KEYS.validated(id), JSON.stringify(z.encode(RECORDS.validated, { ...record, pages: [page] })));
  }
  put(KEYS.tenantBatch('default', facts.createdAtMs, id), '{}');
  put(KEYS.openMark(id), '{}');
}

/** Until a process takes hardly any CPU. */
async function quiet(pid: number | undefined): Promise<void> {
  let before = cpuS(pid);
  await until(async () => {
    await delay(2_000);
    const now = cpuS(pid);
    const isQuiet = now - before < 0.6;
    before = now;
    return isQuiet;
  }, MAX_MS);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
