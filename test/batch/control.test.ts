import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchObject } from '@spillway/core';
import { until, System } from '../support/system.ts';

const named = (name: string, count: number, before = ''): string[] =>
  Array.from({ length: count }, (_, at) => `${before}${name} ${at}`);

/** The prompts that a model was asked, in order. */
function askedOf(server: System['drafterModel']): string[] {
  return server.requests.map(({ body }) => {
    const { messages } = body as unknown as { messages: { content: string }[] };
    return messages.at(-1)?.content ?? '';
  });
}

const shown = async (system: System, id: string): Promise<BatchObject> => await system.client.get(`/batches/${id}`);

test('nothing of a paused batch is asked, at any stage, also after Redis was lost; others go on, and then it does', async () => {
  const small = { concurrency: 4 };
  await using system = await System.start({ models: { small, large: small }, stopEarly: false });
  const paused = await system.submit([
    ...named('a', 300, '[[unsure]] '),
    ...named('[[hang x1]] b', 4),
    ...named('a', 200),
  ]);
  // Some of it is under way at either stage, and some waits at either.
  await until(async () => askedOf(system.expertModel).length > 5 && system.drafterModel.inFlight > 0);
  const { spillway } = (await system.client.post(`/batches/${paused.id}/pause`)) as BatchObject;
  assert.equal(spillway.paused, true);
  system.drafterModel.release();
  await until(async () => system.drafterModel.inFlight + system.expertModel.inFlight === 0);
  const before = askedOf(system.drafterModel).length + askedOf(system.expertModel).length;
  const another = await system.submit(named('c', 60, '[[unsure]] '));
  await system.settled(another.id);
  const isPaused = (text: string): boolean => !text.includes(' c ') && !text.startsWith('c ');
  const asked = (): number => [...askedOf(system.drafterModel), ...askedOf(system.expertModel)].filter(isPaused).length;
  assert.ok(asked() - before <= 8, `${asked() - before} calls of it were begun since`);
  const known = asked();
  await system.redis.client.flushall();
  await system.admitted();
  const third = await system.submit(named('c', 60));
  await system.settled(third.id);
  assert.equal(asked(), known, 'it is paused still');
  const told = await shown(system, paused.id);
  assert.deepEqual(
    told.spillway.waiting.map(({ state }) => state),
    ['batch_paused'],
  );
  assert.equal(told.status, 'in_progress');
  await system.client.post(`/batches/${paused.id}/resume`);
  const { request_counts: counts } = await system.settled(paused.id);
  assert.deepEqual({ ...counts }, { total: 504, completed: 504, failed: 0 });
  await assert.rejects(system.client.post(`/batches/${paused.id}/pause`), { status: 409 });
});

test('a batch that is paused before it is validated waits, and can be cancelled', async () => {
  await using system = await System.create();
  await system.run('api');
  const dispatcher = await system.run('dispatcher');
  await system.admitted();
  dispatcher.child.kill('SIGSTOP');
  const { id } = await system.submit(named('a', 20));
  await system.client.post(`/batches/${id}/pause`);
  dispatcher.child.kill('SIGCONT');
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await system.settled(id, ({ status }) => status === 'in_progress');
  const another = await system.submit(named('b', 20));
  await system.settled(another.id);
  assert.ok(!askedOf(system.drafterModel).some((text) => text.startsWith('a ')));
  await system.client.batches.cancel(id);
  assert.equal((await system.settled(id)).status, 'cancelled');
});

test('a batch of high priority goes before the others of its tenant', async () => {
  await using system = await System.start({ models: { small: { concurrency: 1 } }, drafter: { latencyMs: 20 } });
  const first = await system.submit(named('a', 400));
  await until(async () => askedOf(system.drafterModel).length > 5);
  const urgent = await system.submit(named('b', 40));
  const raised = (await system.client.post(`/batches/${urgent.id}/priority`, {
    body: { priority: 'high' },
  })) as BatchObject;
  assert.equal(raised.spillway.priority, 'high');
  await system.settled(urgent.id);
  const [asked, done] = [askedOf(system.drafterModel), (await shown(system, first.id)).request_counts.completed];
  const [from, to] = [
    asked.findIndex((text) => text.startsWith('b ')),
    asked.findLastIndex((text) => text.startsWith('b ')),
  ];
  const between = asked.slice(from, to).filter((text) => text.startsWith('a ')).length;
  // Fairly it would be as many as its own; a second may go by until it is decided.
  assert.ok(done < 400 && between < 40, `${between} of the other between, ${done} of it done`);
  await system.settled(first.id);
});
