import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startRedis } from '../support/redis.ts';
import { System } from '../support/system.ts';

/** SPILLWAY_DRAIN_MS of these systems, and what stopping may take beside it. */
const DRAIN_MS = 1_000;
const STOP_MS = 15_000;

const env = { SPILLWAY_DRAIN_MS: String(DRAIN_MS) };

const prompts = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => (at % 2 === 0 ? `[[drafter unsure]] ${at}` : `${at}`));

type End = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly tookMs: number };

/** How a process ends that gets a signal. */
async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<End> {
  const startedAtMs = performance.now();
  const limit = setTimeout(() => child.kill('SIGKILL'), 2 * (DRAIN_MS + STOP_MS));
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code, by] = (await exited.finally(() => clearTimeout(limit))) as [End['code'], End['signal']];
  return { code, signal: by, tookMs: performance.now() - startedAtMs };
}

/** Every process of a system ends by itself, in time and well. */
async function endAll(system: System): Promise<void> {
  const ends = await Promise.all(
    system.services.map(async ({ name, child }) => ({ name, ...(await endOf(child, 'SIGTERM')) })),
  );
  for (const { name, code, signal, tookMs } of ends) {
    assert.deepEqual([name, code, signal], [name, 0, null]);
    assert.ok(tookMs < DRAIN_MS + STOP_MS, `${name}: ${tookMs} ms`);
  }
}

const isUnderWay = (batch: { request_counts?: { completed: number } | undefined }): boolean =>
  (batch.request_counts?.completed ?? 0) > 20;

test('Redis gone for good and the readers of their logs, too: all end within their drain limit', async () => {
  await using system = await System.start({ drafter: { latencyMs: 20 }, expert: { latencyMs: 20 }, env });
  const { id } = await system.submit(prompts(400));
  await system.settled(id, isUnderWay);
  for (const { child } of system.services) {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
  await system.redis.kill();
  await endAll(system);
});

test('Redis and the collector silent, their logs not read: all end within their drain limit', async () => {
  await using collector = await startFaultProxy({ target: 'http://127.0.0.1:9' });
  await collector.set({ kind: 'black_hole' });
  const redis = await startRedis();
  await using proxy = await startFaultProxy({ target: redis.url.replace('redis:', 'http:') });
  await using system = await System.start({
    drafter: { latencyMs: 5 },
    expert: { latencyMs: 5 },
    redisServer: { ...redis, url: `redis://127.0.0.1:${proxy.port}` },
    env: {
      ...env,
      LOG_LEVEL: 'debug',
      SPILLWAY_LOG_ATTEMPT_SHARE: '1',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
      OTEL_TRACES_SAMPLER: 'always_on',
    },
  });
  // More of it than a pipe holds, and than a process keeps.
  for (const { child } of system.services) child.stdout?.pause();
  const { id } = await system.submit(prompts(600));
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) > 400);
  await proxy.set({ kind: 'black_hole' });
  proxy.silence();
  await endAll(system);
});

test('a second signal ends a process at once, though it waits for its calls', async () => {
  await using system = await System.start({ env: { ...env, SPILLWAY_DRAIN_MS: '60000' } });
  await system.submit(['[[hang]] a', '[[drafter unsure]] [[expert hang]] b']);
  await Promise.all([system.drafterModel.waitForRequests(2), system.expertModel.waitForRequests(1)]);
  const workers = system.services.filter(({ name }) => name === 'drafter' || name === 'expert');
  for (const { child } of workers) child.kill('SIGTERM');
  await Promise.all(workers.map((service) => service.waitFor(({ msg }) => msg === 'stopping')));
  // What comes at the same time is the same signal, sent by npm as well.
  for (const { child } of workers) child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.deepEqual(
    workers.map(({ child }) => child.exitCode),
    [null, null],
  );
  for (const { name, child } of workers) {
    const { code, tookMs } = await endOf(child, name === 'drafter' ? 'SIGTERM' : 'SIGINT');
    assert.equal(code, name === 'drafter' ? 143 : 130);
    assert.ok(tookMs < 1_000, `${tookMs} ms`);
  }
});

/** A service whose storage hangs: a thread of its waits for a file for ever, and a step of its stopping does. */
const HANGING = `
import { readFile } from 'node:fs';
import { runService } from '@spillway/runtime';
await runService('hanging', process.env, async (life) => {
  life.defer(() => new Promise((resolve) => readFile(process.env.PIPE, resolve)), 300);
  setInterval(() => undefined, 60_000);
  life.ready({});
});
`;

test('storage that hangs, and a thread with it: the process ends all the same', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-hang-'));
  const pipe = join(directory, 'pipe');
  execFileSync('sh', ['-c', 'mkfifo "$0"', pipe]);
  const args = ['--input-type=module', '--eval', HANGING];
  const cwd = new URL('../..', import.meta.url);
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, PIPE: pipe }, stdio: 'pipe' });
  try {
    await once(child.stdout, 'data');
    const { signal, tookMs } = await endOf(child, 'SIGTERM');
    assert.equal(signal, 'SIGKILL');
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
  } finally {
    child.kill('SIGKILL');
    await rm(directory, { recursive: true });
  }
});
