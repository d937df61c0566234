import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startModelServer, type Scripted } from '../support/model-server.ts';
import type { Service, ServiceName } from '../support/service.ts';
import { signal } from '../support/signal.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const escalated = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `[[drafter unsure]] ${index}`);

/** An expert whose model server is its own: the file that it is started with names another address than the others'. */
async function withServerOfItsOwn(system: System, baseURL: string): Promise<{ SPILLWAY_CONFIG: string }> {
  const text = await readFile(join(system.directory, 'spillway.yaml'), 'utf8');
  const path = join(system.directory, `${new URL(baseURL).port}.yaml`);
  await writeFile(path, text.replace(system.expertModel.baseURL, baseURL));
  return { SPILLWAY_CONFIG: path };
}

async function readiness(service: Service): Promise<{ ok: boolean; detail: string }> {
  const { healthPort } = await service.ready();
  const response = await fetch(`http://127.0.0.1:${String(healthPort)}/health/ready`);
  return (await response.json()) as { ok: boolean; detail: string };
}

test('a model server beside one worker is down: that worker waits, the others go on, no attempt is used up', async () => {
  await using other = await startModelServer({ role: 'expert' });
  await using system = await System.create({
    expert: { latencyMs: 20 },
    models: { large: { sidecar: true, max_attempts: 1, concurrency: 4 } },
    env: { HEALTH_PORT: '0' },
  });
  const [api] = await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
  await other.stop();
  const broken = await system.run('expert', await withServerOfItsOwn(system, other.baseURL));
  const first = await system.submit(escalated(40));
  await until(async () => !(await readiness(broken)).ok);
  assert.match((await readiness(broken)).detail, /^expert\.large: /);
  await until(async () => (await signal(api, 'expert/large')).body.breaker !== null);
  assert.equal((await signal(api, 'expert/large')).body.required, 2, 'one more, whose server may be sound');

  const sound = await system.run('expert');
  const { errors } = await wholeResults(system, await system.settled(first.id), docIds(40));
  assert.deepEqual(errors, []);
  const opened = await system.redis.client.hmget('{test}:breaker:expert.large', 'reason', 'closedAt');
  assert.deepEqual(opened, [null, null], "the tier's breaker stayed closed");
  assert.equal(other.requests.length, 0);
  assert.equal((await signal(api, 'expert/large')).body.breaker, null);

  await sound.stop();
  await other.restart();
  const second = await system.submit(escalated(40));
  await wholeResults(system, await system.settled(second.id), docIds(40));
  assert.ok((await readiness(broken)).ok);
});

test('a call that fails when the pause is long over brings no other pause: its server has answered since', async () => {
  const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const limits = (seconds: number): Scripted => ({
    kind: 'status',
    status: 429,
    headers: { 'retry-after': String(seconds) },
  });
  await using expert = await startModelServer({
    answer: async ({ body, attempt }) => {
      if (attempt > 1) return { kind: 'completion' };
      if (JSON.stringify(body).includes('slow')) {
        begun.resolve();
        await held.promise;
        return limits(5);
      }
      await begun.promise;
      return limits(1);
    },
  });
  await using system = await System.create({
    // After the 429 it asks two at a time.
    models: { large: { base_url: expert.baseURL, sidecar: true, max_attempts: 1, concurrency: 4 } },
  });
  await Promise.all(['api', 'dispatcher', 'drafter', 'expert'].map((name) => system.run(name as ServiceName)));
  await system.admitted();
  const batch = await system.submit(['[[drafter unsure]] slow', '[[drafter unsure]] quick']);
  await system.settled(batch.id, (now) => now.request_counts?.completed === 1);
  held.resolve();
  const others = await system.submit(['[[drafter unsure]] other']);
  await wholeResults(system, await system.settled(others.id), docIds(1));
  assert.equal(
    (await system.client.batches.retrieve(batch.id)).status,
    'in_progress',
    'the slow one waits as it was told',
  );
  const { errors } = await wholeResults(system, await system.settled(batch.id), docIds(2));
  assert.deepEqual(errors, []);
});

test('a cascade whose expert runs beside its workers answers batches only, and says so', async () => {
  await using system = await System.create({ models: { large: { sidecar: true } } });
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  const messages = [{ role: 'user' as const, content: 'x' }];
  await assert.rejects(system.client.chat.completions.create({ model: 'test', messages }), (error: unknown) => {
    assert.ok(error instanceof Error);
    assert.match(error.message, /400 'test' answers batches only: 'large' runs beside its workers/);
    return true;
  });
});
