import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KEYS, LIMITS } from '@spillway/core';
import { signal } from '../support/signal.ts';
import { System, until } from '../support/system.ts';

const many = (count: number, prompt = 'x'): string[] =>
  Array.from({ length: count }, (_, index) => `${prompt} ${index}`);

test('the signal counts what waits, is not enqueued and will come over; it measures, holds while the breaker is open, and ends at nothing', async () => {
  await using system = await System.create({
    drafter: { latencyMs: 40 },
    models: { small: { concurrency: 4 }, large: { concurrency: 4 } },
    env: { HEALTH_PORT: '0' },
  });
  const api = await system.run('api');
  await system.run('dispatcher');
  await system.admitted();
  assert.equal((await signal(api, 'drafter/small')).body.required, 0);
  const { id } = await system.submit(many(400, '[[drafter unsure]]'));
  await until(async () => (await signal(api, 'drafter/small')).body.backlog === 400);
  const cold = (await signal(api, 'drafter/small')).body;
  assert.ok(cold.required >= 1, cold.reason);
  // Three of ten are expected to come over. A page that is being enqueued is counted twice for a moment.
  await until(async () => (await signal(api, 'expert/large')).body.backlog === 120);
  assert.ok((await signal(api, 'expert/large')).body.required >= 1, 'before the first draft is made');
  await system.expertModel.stop();
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await until(async () => (await signal(api, 'expert/large')).body.breaker !== null);
  const held = (await signal(api, 'expert/large')).body;
  assert.equal(held.required, 1);
  assert.match(held.reason, /^held: /);
  await until(async () => (await signal(api, 'drafter/small')).body.backlog === 0);
  const waiting = (await signal(api, 'expert/large')).body;
  assert.equal(waiting.backlog, 400, 'all of them came');
  await system.expertModel.restart();
  await system.settled(id);
  await until(async () => (await signal(api, 'expert/large')).body.required === 0);
  await until(async () => {
    const { ratePerReplica } = (await signal(api, 'drafter/small')).body;
    return ratePerReplica > 10 && ratePerReplica < 101;
  });
});

test('a tier that no cascade has is a 404; while Redis recovers there is no number', async () => {
  await using system = await System.create({ env: { HEALTH_PORT: '0' } });
  const api = await system.run('api');
  const dispatcher = await system.run('dispatcher');
  await system.admitted();
  const unknown = await signal(api, 'drafter/nobody');
  assert.equal(unknown.status, 404);
  assert.match(unknown.body.error?.message ?? '', /No cascade has 'nobody' as its drafter; there are small/);
  assert.equal((await signal(api, 'expert/small')).status, 404);
  for (const tier of [
    'judge/small',
    'draft/small',
    'drafter/%E0%A4%A',
    'drafter/__proto__',
    'drafter/',
    'drafter/small/x',
  ]) {
    assert.equal((await signal(api, tier)).status, 404, tier);
  }
  await dispatcher.kill();
  await system.redis.client.flushall();
  assert.equal((await signal(api, 'drafter/small')).status, 503);
});

/** A system in which nothing moves: a batch that is enqueued as far as it goes, and no worker. */
async function stalled(prompts: readonly string[]) {
  const system = await System.create({ env: { HEALTH_PORT: '0' } });
  const api = await system.run('api');
  const dispatcher = await system.run('dispatcher');
  await system.admitted();
  const { id } = await system.submit(prompts);
  await until(
    async () => (await system.redis.client.hget(`{test}:batch:${id}`, 'enqueued')) === String(prompts.length),
  );
  await dispatcher.kill();
  return { system, api, id };
}

test('what a document passes first is read first, so that none is missed on its way', async () => {
  const { system, api, id } = await stalled(many(5));
  await using _system = system;
  const monitor = await system.redis.client.monitor();
  const commands: string[] = [];
  monitor.on('monitor', (_time: string, args: string[]) => commands.push(args.join(' ')));
  assert.equal((await signal(api, 'expert/large')).body.backlog, 2);
  await until(async () => commands.some((text) => text.includes('{test}:expert.large:')));
  monitor.disconnect();
  const first = (part: string): number => commands.findIndex((text) => text.includes(part));
  const order = [first(`{test}:batch:${id}`), first('{test}:drafter.small:'), first('{test}:expert.large:')];
  assert.ok(!order.includes(-1), commands.join('\n'));
  assert.deepEqual(
    order,
    order.toSorted((left, right) => left - right),
  );
});

test('while no expert is there its share is known by what was handed off, however many drafts are accepted', async () => {
  await using system = await System.create({ env: { HEALTH_PORT: '0' } });
  const [api] = await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
  const prompts = Array.from({ length: 400 }, (_, at) => (at % 2 === 0 ? `[[drafter unsure]] ${at}` : `sure ${at}`));
  const hangs = Array.from({ length: 16 }, (_, at) => `[[hang]] ${at}`);
  const { id } = await system.submit([...prompts, ...hangs]);
  await system.settled(id, (now) => now.request_counts?.completed === 200);
  await until(async () => (await signal(api, 'drafter/small')).body.backlog === hangs.length);
  const { backlog } = (await signal(api, 'expert/large')).body;
  assert.equal(backlog, 200 + Math.round(((200 + 6) / (400 + 20)) * hangs.length), 'half of those to come as well');
  system.drafterModel.release();
});

test('one batch whose records cannot be read leaves the signal to the others', async () => {
  const { system, api, id } = await stalled(many(40));
  await using _system = system;
  await writeFile(join(system.directory, 'data', KEYS.manifest(id)), '{');
  assert.deepEqual(
    [(await signal(api, 'drafter/small')).status, (await signal(api, 'drafter/small')).body.backlog],
    [200, 40],
    'its documents are in the queue all the same',
  );
});

test('drafters are not asked for documents that cannot be enqueued, as the expert is far behind', async () => {
  const { system, api, id } = await stalled(many(40));
  await using _system = system;
  const { client } = system.redis;
  await client.hset(`{test}:batch:${id}`, 'total', 1_000_040);
  await until(async () => (await signal(api, 'drafter/small')).body.backlog === 1_000_040);
  await client.hset('{test}:in-flight', `${id}:0`, LIMITS.inFlightBytesPerWay - LIMITS.pageInputBytes);
  await until(async () => (await signal(api, 'drafter/small')).body.backlog === 40);
  assert.ok((await signal(api, 'expert/large')).body.backlog > 100_000, 'the expert knows what will come');
});

test('with three tiers each is warmed for what all before it will hand off', async () => {
  await using system = await System.create({ middle: {}, env: { HEALTH_PORT: '0' } });
  const [api] = await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  const prompts = Array.from({ length: 400 }, (_, at) =>
    at % 4 === 0
      ? `[[drafter unsure]] [[middle unsure]] ${at}`
      : at % 4 === 2
        ? `[[drafter unsure]] ${at}`
        : `sure ${at}`,
  );
  const { id } = await system.submit(prompts);
  const backlogs = async (): Promise<number[]> =>
    await Promise.all(
      ['drafter/small', 'drafter/medium', 'expert/large'].map(async (tier) => (await signal(api, tier)).body.backlog),
    );
  const become = async (...expected: number[]): Promise<void> => {
    let seen: number[] = [];
    await until(async () => (seen = await backlogs()).join() === expected.join()).catch((error: unknown) => {
      throw new Error(`${seen.join()} never became ${expected.join()}`, { cause: error });
    });
  };
  // Three of ten are expected to come over from each tier to the next. While a page is enqueued it is counted twice.
  await become(400, 400 * 0.3, 400 * 0.3 * 0.3);
  assert.ok((await signal(api, 'expert/large')).body.required >= 1, 'before the first draft is made');
  const unknown = await signal(api, 'expert/medium');
  assert.equal(unknown.status, 404);
  assert.match(unknown.body.error?.message ?? '', /No cascade has 'medium' as its expert; there are large/);
  await system.run('drafter', { SPILLWAY_MODELS: 'small' });
  await become(0, 200, 200 * 0.3);
  await system.run('drafter', { SPILLWAY_MODELS: 'medium' });
  await become(0, 0, 100);
  await system.run('expert');
  await system.settled(id);
  await become(0, 0, 0);
});

test('a Redis that hangs: the signal says so in time, workers stay alive and are not ready', async () => {
  await using system = await System.start({ env: { HEALTH_PORT: '0', SPILLWAY_LOCK_MS: '500' } });
  const [api, , drafter] = system.services;
  assert.ok(api && drafter);
  const { healthPort } = await drafter.ready();
  const probe = async (name: string) => (await fetch(`http://127.0.0.1:${String(healthPort)}/health/${name}`)).status;
  const pid = Number(/process_id:(\d+)/.exec(await system.redis.client.info('server'))?.[1]);
  process.kill(pid, 'SIGSTOP');
  try {
    // By the second round at the latest it has picked up nothing for so long that it asks Redis whether anything waits.
    for (let round = 0; round < 3; round += 1) {
      const startedAtMs = performance.now();
      const statusOf = async (): Promise<number> => (await signal(api, 'expert/large')).status;
      assert.deepEqual(await Promise.all([probe('live'), probe('ready'), statusOf()]), [200, 503, 503]);
      assert.ok(performance.now() - startedAtMs < 4_500, 'before a probe gives up');
    }
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until(async () => (await probe('ready')) === 200);
});
