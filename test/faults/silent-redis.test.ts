import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startRedis } from '../support/redis.ts';
import { System } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const prompts = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => (at % 2 === 0 ? `[[drafter unsure]] ${at}` : `${at}`));

test('connections that fall silent in mid-batch, as after a failover from a host that lost its power, are made anew', async () => {
  const redis = await startRedis();
  await using proxy = await startFaultProxy({ target: redis.url.replace('redis:', 'http:') });
  await using system = await System.start({
    drafter: { latencyMs: 20 },
    expert: { latencyMs: 20 },
    models: { small: { concurrency: 4 }, large: { concurrency: 4 } },
    redisServer: { ...redis, url: `redis://127.0.0.1:${proxy.port}` },
  });
  const { id } = await system.submit(prompts(600));
  const before = await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) > 100);
  assert.equal(before.status, 'in_progress');
  proxy.silence();
  const { errors } = await wholeResults(system, await system.settled(id), docIds(600));
  assert.deepEqual(errors, []);
});

test('workers that get SIGTERM while Redis is down end soon, and without an error', async () => {
  await using system = await System.start({ expert: { latencyMs: 20 } });
  await Promise.all([system.run('drafter'), system.run('expert')]);
  const { id } = await system.submit(prompts(400));
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) > 50);
  await system.redis.kill();
  const startedAtMs = performance.now();
  const codes = await Promise.all(system.services.map((service) => service.stop()));
  assert.deepEqual(
    codes,
    codes.map(() => 0),
  );
  // SPILLWAY_DRAIN_MS of 3 s, and what closing may take.
  assert.ok(performance.now() - startedAtMs < 25_000, `${performance.now() - startedAtMs} ms`);
  await system.redis.restart();
  await Promise.all((['api', 'dispatcher', 'drafter', 'expert'] as const).map((name) => system.run(name)));
  const { errors } = await wholeResults(system, await system.settled(id), docIds(400));
  assert.deepEqual(errors, []);
});

for (const tier of ['drafter', 'expert'] as const) {
  test(`a frozen ${tier} uses up no attempt: it did not look while its answers came`, async () => {
    await using system = await System.start({
      drafter: { latencyMs: tier === 'drafter' ? 500 : 0 },
      expert: { latencyMs: tier === 'expert' ? 500 : 0 },
      models: { small: { max_attempts: 1, timeout_s: 2 }, large: { max_attempts: 1, timeout_s: 2, concurrency: 8 } },
    });
    const { id } = await system.submit(prompts(40));
    const server = tier === 'drafter' ? system.drafterModel : system.expertModel;
    await server.waitForRequests(4);
    const worker = system.services.find(({ name }) => name === tier);
    worker?.freeze();
    // Longer than its calls may take.
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    worker?.thaw();
    const { output, errors } = await wholeResults(system, await system.settled(id), docIds(40));
    assert.deepEqual(errors, []);
    assert.deepEqual(
      output.filter(({ cascade }) => cascade?.stages[0]?.reason === 'draft_failed'),
      [],
    );
  });
}
