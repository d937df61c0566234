import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signal } from '../support/signal.ts';
import { System, until } from '../support/system.ts';

const many = (count: number, prompt = 'x'): string[] =>
  Array.from({ length: count }, (_, index) => `${prompt} ${index}`);

test('the signal counts what waits, is not fed and will come over; it measures, holds at a closed gate, and ends at nothing', async () => {
  await using system = await System.create({
    drafter: { latencyMs: 40 },
    models: { small: { concurrency: 4 }, large: { concurrency: 4 } },
    env: { HEALTH_PORT: '0' },
  });
  const api = await system.run('api');
  await system.run('dispatcher');
  await system.admitted();
  assert.equal((await signal(api, 'drafter/small')).told.required, 0);
  const { id } = await system.submit(many(400, '[[drafter unsure]]'));
  await until(async () => (await signal(api, 'drafter/small')).told.backlog === 400);
  const cold = (await signal(api, 'drafter/small')).told;
  assert.ok(cold.required >= 1, cold.reason);
  const warming = (await signal(api, 'expert/large')).told;
  assert.equal(warming.backlog, 120, 'three of ten are expected to come over');
  assert.ok(warming.required >= 1, 'before the first draft is made');
  await system.expertModel.stop();
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await until(async () => (await signal(api, 'expert/large')).told.gate !== null);
  const held = (await signal(api, 'expert/large')).told;
  assert.equal(held.required, 1);
  assert.match(held.reason, /^held: /);
  await until(async () => (await signal(api, 'drafter/small')).told.backlog === 0);
  const waiting = (await signal(api, 'expert/large')).told;
  assert.equal(waiting.backlog, 400, 'all of them came');
  await system.expertModel.restart();
  await system.settled(id);
  await until(async () => (await signal(api, 'expert/large')).told.required === 0);
  await until(async () => {
    const { ratePerReplica } = (await signal(api, 'drafter/small')).told;
    return ratePerReplica > 10 && ratePerReplica < 101;
  });
});

test('a tier that no cascade has is a 404; while Redis recovers nobody is told a number', async () => {
  await using system = await System.create({ env: { HEALTH_PORT: '0' } });
  const api = await system.run('api');
  const dispatcher = await system.run('dispatcher');
  await system.admitted();
  const unknown = await signal(api, 'drafter/nobody');
  assert.equal(unknown.status, 404);
  assert.match(unknown.told.error?.message ?? '', /No cascade has 'nobody' as its drafter; there are small/);
  assert.equal((await signal(api, 'expert/small')).status, 404);
  for (const tier of ['judge/small', 'drafter/%E0%A4%A', 'drafter/__proto__', 'drafter/', 'drafter/small/x']) {
    assert.equal((await signal(api, tier)).status, 404, tier);
  }
  await dispatcher.kill();
  await system.redis.client.flushall();
  assert.equal((await signal(api, 'drafter/small')).status, 503);
});
