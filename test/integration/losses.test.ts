import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KEYS } from '@spillway/core';
import type { OpenAI } from 'openai';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const DOCUMENTS = 600;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);
const slow = { drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } };

const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

/** The moments at which Redis is lost. */
const MOMENTS: Readonly<Record<string, (system: System, id: string) => Promise<unknown>>> = {
  validating: async () => undefined,
  feeding: (system, id) => system.settled(id, (batch) => done(batch) >= 20),
  sealing: (system, id) => system.settled(id, (batch) => done(batch) >= 300),
  ending: (system, id) => system.settled(id, (batch) => done(batch) >= 590),
};

for (const [moment, reached] of Object.entries(MOMENTS)) {
  test(`Redis wiped while ${moment}: everything is finished, each document once`, async () => {
    await using system = await System.start(slow);
    const { id } = await system.submit(prompts);
    await reached(system, id);
    await system.redis.client.flushall();
    const batch = await system.settled(id);
    assert.equal(batch.status, 'completed');
    await wholeResults(system, batch, docIds(DOCUMENTS));
  });
}

test('Redis restarted with what it had written, and replaced by an empty one', async () => {
  await using system = await System.start(slow);
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => done(batch) >= 100);
  await system.redis.restart();
  await system.settled(id, (batch) => done(batch) >= 300);
  await system.redis.restart({ lose: true });
  const batch = await system.settled(id);
  await wholeResults(system, batch, docIds(DOCUMENTS));
});

test('Redis taken back in time, as after a restart that lost its last seconds', async () => {
  await using system = await System.start(slow);
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => done(batch) >= 50);
  const past = await dumpAll(system);
  const later = await system.settled(id, (batch) => done(batch) >= 400);
  await system.redis.restart({ lose: true });
  await restoreAll(system, past);
  const batch = await system.settled(id);
  assert.ok(done(batch) >= done(later));
  await wholeResults(system, batch, docIds(DOCUMENTS));
});

/**
 * Every key as Redis writes it itself, one after the other while work goes on, so that they do not even fit together; the
 * epoch in it is the old process's, as it would be on disk.
 */
async function dumpAll(system: System): Promise<[string, Buffer][]> {
  const keys = await system.redis.client.keys('*');
  const dumped = await Promise.all(keys.map(async (key) => [key, await system.redis.client.dumpBuffer(key)] as const));
  return dumped.flatMap(([key, value]) => (value === null ? [] : [[key, value]]));
}

async function restoreAll(system: System, dumped: readonly [string, Buffer][]): Promise<void> {
  const writes = system.redis.client.multi();
  for (const [key, value] of dumped) writes.restore(key, 0, value, 'REPLACE');
  await writes.exec();
}

test('a wipe right after a cancel was answered: it stays cancelled, and every document has its line', async () => {
  await using system = await System.start(slow);
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => done(batch) >= 100);
  const cancelling = await system.client.batches.cancel(id);
  await system.redis.client.flushall();
  assert.match(cancelling.status, /^cancell(ing|ed)$/);
  const batch = await system.settled(id);
  assert.equal(batch.status, 'cancelled');
  const { errors } = await wholeResults(system, batch, docIds(DOCUMENTS));
  assert.ok(errors.some((line) => line.error?.code === 'batch_cancelled'));
});

test('cancel racing with the end: one outcome, and the files say the same', async () => {
  await using system = await System.start();
  const small = prompts.slice(0, 40);
  const outcomes = new Set<string>();
  for (let round = 0; round < 8; round += 1) {
    const { id } = await system.submit(small);
    await system.settled(id, (batch) => batch.status !== 'validating' && done(batch) >= round * 5);
    const answer = await system.client.batches.cancel(id).then(
      (batch) => batch.status,
      (error: unknown) => (error as { status?: number }).status,
    );
    const batch = await system.settled(id);
    outcomes.add(batch.status);
    assert.equal(
      batch.status === 'cancelled',
      answer === 'cancelling' || answer === 'cancelled',
      `${batch.status}, told ${answer}`,
    );
    await wholeResults(system, batch, docIds(small.length));
  }
  assert.ok(outcomes.size >= 1);
});

test('a batch whose time runs out: what is done stays, the rest expires; escalated ones give their draft where wanted', async () => {
  for (const onDeadline of ['error', 'draft'] as const) {
    await using system = await System.start({ onDeadline });
    const texts = ['a', '[[drafter unsure]] [[expert hang]] b', '[[hang]] c'];
    const { id } = await system.submit(texts, { window: '1m' });
    await system.settled(id, (batch) => done(batch) >= 1);
    await system.expertModel.waitForRequests(1);
    // The deadline is brought near where it is decided: in the state that the dispatcher reads.
    await system.redis.client.hset(`{test}:batch:${id}`, 'expiresAtMs', Date.now());
    const batch = await system.settled(id);
    assert.equal(batch.status, 'expired');
    const { output, errors } = await wholeResults(system, batch, docIds(3));
    assert.deepEqual(
      output.map((line) => line.custom_id),
      onDeadline === 'draft' ? ['doc-0', 'doc-1'] : ['doc-0'],
    );
    assert.ok(errors.every((line) => line.error?.code === 'batch_expired'));
    if (onDeadline === 'draft') assert.equal(output[1]?.cascade?.['certified'], false);
  }
});

test('a draft whose job Redis lost while the model was asked: its worker is free again, the document is done', async () => {
  const goOn = Promise.withResolvers<void>();
  const answer = async ({ body, attempt }: ModelRequest): Promise<Scripted> => {
    const isSlow = JSON.stringify(body['messages']).includes('slow');
    if (isSlow && attempt === 1) await goOn.promise;
    return { kind: 'completion', logprobs: -2 };
  };
  // No sweep comes to make a new job of it.
  const env = { SPILLWAY_SWEEP_MS: '3600000' };
  await using system = await System.start({ drafter: { answer }, models: { small: { concurrency: 1 } }, env });
  const { id } = await system.submit(['slow']);
  await system.drafterModel.waitForRequests(1);
  // The job vanishes, the batch stays: the draft cannot be written down, now or later.
  await system.redis.client.del(`{test}:draft.small:${id}-0`);
  goOn.resolve();
  const other = await system.submit(['b', 'c']);
  await wholeResults(system, await system.settled(other.id), docIds(2));
  await wholeResults(system, await system.settled(id), ['doc-0']);
});

test('jobs that vanish from the queues are fed again by the sweep', async () => {
  await using system = await System.create(slow);
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  const { id } = await system.submit(prompts.slice(0, 50));
  await until(async () => (await system.redis.client.zcard('{test}:draft.small:prioritized')) === 50);
  const jobs = await system.redis.client.keys(`{test}:draft.small:${id}-*`);
  await system.redis.client.del('{test}:draft.small:prioritized', ...jobs);
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await wholeResults(system, await system.settled(id), docIds(50));
});

test('the same job delivered twice: one result', async () => {
  await using system = await System.create();
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  const { id } = await system.submit(['[[hang]] a']);
  await system.run('drafter', { SPILLWAY_LOCK_MS: '4000' });
  await system.drafterModel.waitForRequests(1);
  // The lock is taken away, as when it ran out: another worker gets the job while the first still works on it.
  await system.redis.client.del(`{test}:draft.small:${id}-0:lock`);
  await system.run('drafter', { SPILLWAY_LOCK_MS: '1000' });
  await system.drafterModel.waitForRequests(2);
  system.drafterModel.release();
  const batch = await system.settled(id);
  await wholeResults(system, batch, ['doc-0']);
});

test('a batch with a damaged record holds up nobody, and goes on where it was when the record is whole again', async () => {
  await using system = await System.create(slow);
  const first = await system.run('dispatcher');
  await Promise.all([system.run('api'), system.run('drafter'), system.run('expert')]);
  await system.admitted();
  const hurt = await system.submit(prompts);
  await system.settled(hurt.id, (batch) => done(batch) >= 300);
  await until(async () => (await system.redis.client.getbit(`{test}:sealed:${hurt.id}`, 0)) === 1);
  await first.kill();
  const path = join(system.directory, 'data', KEYS.validated(hurt.id));
  const whole = await readFile(path);
  await writeFile(path, '{"v":1,"validatedAtMs":');
  await system.redis.client.flushall();
  await system.run('dispatcher');
  await system.admitted();
  const other = await system.submit(['c', '[[drafter unsure]] d']);
  await wholeResults(system, await system.settled(other.id), docIds(2));
  const cancelled = await system.submit(['[[hang]] e']);
  await system.drafterModel.waitForRequests(system.drafterModel.received + 1);
  await system.client.batches.cancel(cancelled.id);
  assert.equal((await system.settled(cancelled.id)).status, 'cancelled');
  const told = system
    .complaints()
    .split('\n')
    .filter((line) => line.includes(hurt.id));
  assert.ok(told.length > 0 && told.length < 40, `told ${told.length} times: ${told.at(-1)}`);
  await writeFile(path, whole);
  await wholeResults(system, await system.settled(hurt.id), docIds(DOCUMENTS));
  const asked = system.drafterModel.requests.filter(({ body }) => JSON.stringify(body['messages']).includes('"1"'));
  assert.equal(asked.length, 1, 'a document of a sealed page is not asked again');
});
