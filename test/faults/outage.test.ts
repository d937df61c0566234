import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startRedis } from '../support/redis.ts';
import type { Service } from '../support/service.ts';
import { System } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const DOCUMENTS = 300;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);

/** How long Redis is away: long enough that everything that needs it meets that several times. */
const AWAY_MS = 3_000;

/** Documents take their time, so that something is in work at every moment. Redis has the bound that a real one has. */
let system: System;
let redis: Awaited<ReturnType<typeof startRedis>>;

before(async () => {
  redis = await startRedis({ maxmemory: '512mb' });
  system = await System.start({ drafter: { latencyMs: 40 }, expert: { latencyMs: 40 }, redisServer: redis });
});
after(() => system[Symbol.asyncDispose]());

/** What wants somebody's attention, and what is said of Redis, in the order of the lines. */
const told = ({ lines }: Service): string[] =>
  lines
    .filter(({ level, msg = '' }) => ['warn', 'error', 'fatal'].includes(String(level)) || msg.startsWith('Redis '))
    .map(({ level, msg }) => `${String(level)}: ${msg}`);

/** A batch that is in work, with about a sixth of it done. */
async function batchInWork(): Promise<string> {
  const { id } = await system.submit(prompts);
  await system.settled(id, ({ request_counts: counts }) => (counts?.completed ?? 0) >= DOCUMENTS / 6);
  return id;
}

async function endsWhole(id: string): Promise<void> {
  await wholeResults(system, await system.settled(id), docIds(DOCUMENTS));
}

test('services that are stopped and started in mid-batch warn of nothing', async () => {
  const id = await batchInWork();
  const stopped = [...system.services];
  await Promise.all(stopped.map((service) => service.stop()));
  await Promise.all(stopped.map(({ name }) => system.run(name)));
  await endsWhole(id);
  assert.deepEqual(system.services.flatMap(told), []);
  assert.equal(system.services.length, 8);
});

test('a Redis that is away for a while is one line when that begins and one when it ends, in every service', async () => {
  const services = system.services.slice(-4);
  const id = await batchInWork();
  // As a deploy of Redis ends it: with all that it has on its disk.
  await redis.shutDown();
  await Promise.all(services.map((service) => service.waitFor(({ msg }) => msg === 'Redis is away')));
  // Everybody asks for what cannot be had: clients, the leader's loops, workers with what they have finished.
  const statuses = await Promise.all(
    Array.from({ length: 20 }, () => system.submit(['one more']).catch((error: { status?: number }) => error.status)),
  );
  assert.deepEqual(new Set(statuses), new Set([503]));
  await delay(AWAY_MS);
  await redis.restart();
  await Promise.all(services.map((service) => service.waitFor(({ msg }) => msg === 'Redis is there again')));
  await endsWhole(id);
  for (const service of services) {
    assert.deepEqual(told(service), ['warn: Redis is away', 'info: Redis is there again'], service.name);
    assert.equal(service.stderr, '', service.name);
    const { awayMs } = service.lines.find(({ msg }) => msg === 'Redis is there again') ?? {};
    assert.ok(Number(awayMs) >= AWAY_MS && Number(awayMs) < 10 * AWAY_MS, String(awayMs));
  }
});

test("a batch's beginning and end are lines", async () => {
  const { id } = await system.submit(['one', '[[drafter unsure]] two']);
  const batch = await system.settled(id);
  const dispatcher = system.services.findLast(({ name }) => name === 'dispatcher');
  await dispatcher?.waitFor(({ msg, ...line }) => msg === 'ended' && line['batch'] === id);
  const lines = system.services.flatMap((service) =>
    service.lines
      .filter((line) => line['batch'] === id && line.msg !== 'attempt')
      .map(({ level, msg, tookMs, ...line }) => ({ service: service.name, level, msg, tookMs, line })),
  );
  assert.deepEqual(
    lines.map(({ service, level, msg }) => [service, level, msg]),
    [
      ['api', 'info', 'created'],
      ['dispatcher', 'info', 'validated'],
      ['dispatcher', 'info', 'ended'],
    ],
  );
  const [created, validated, ended] = lines;
  assert.equal(created?.line['file'], batch.input_file_id);
  assert.equal(validated?.line['documents'], 2);
  const { outcome, total, completed, failed, escalated } = ended?.line ?? {};
  assert.deepEqual([outcome, total, completed, failed, escalated], ['completed', 2, 2, 0, 1]);
  assert.ok(Number(ended?.tookMs) > 0 && Number(ended?.tookMs) < 60_000);
});
