import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUNDLE_VERSION, type DocumentJob } from '@spillway/core';
import { Queues } from '@spillway/redis';
import type { OpenAI } from 'openai';
import { jobOf } from '../support/jobs.ts';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { sharedWithoutWorkers } from '../support/shared-system.ts';
import { storeOn } from '../support/stores.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

/** Every third document escalates. */
const prompts = Array.from({ length: 50 }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);
const slow = { drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } };

const idle = sharedWithoutWorkers(slow);

const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

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
  await system.redis.client.del(`{test}:drafter.small:${id}-0`);
  goOn.resolve();
  const other = await system.submit(['b', 'c']);
  await wholeResults(system, await system.settled(other.id), docIds(2));
  await wholeResults(system, await system.settled(id), ['doc-0']);
});

test('jobs that vanish from the queues are enqueued again by the sweep', async (t) => {
  const system = await idle(t);
  const { id } = await system.submit(prompts);
  await until(async () => (await system.redis.client.zcard('{test}:drafter.small:prioritized')) === 50);
  const jobs = await system.redis.client.keys(`{test}:drafter.small:${id}-*`);
  await system.redis.client.del('{test}:drafter.small:prioritized', ...jobs);
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await wholeResults(system, await system.settled(id), docIds(50));
});

test('jobs of an older Spillway, and one without its data, are dropped, and their documents enqueued again in the shape of today', async (t) => {
  const system = await idle(t);
  const dispatcher = system.services.find(({ name }) => name === 'dispatcher') ?? assert.fail();
  const from = dispatcher.lines.length;
  const { id } = await system.submit(prompts.slice(0, 20));
  await until(async () => (await system.redis.client.zcard('{test}:drafter.small:prioritized')) === 20);
  await using store = await storeOn(system.redis, 'test');
  await using queues = new Queues(store);
  const older = (document: number): DocumentJob => {
    const messages = [{ role: 'user', content: 'of an older shape' }];
    return { ...jobOf({ batch: id, document, body: { model: 'test', messages } }), v: 2 };
  };
  // Two wait for their drafter, one for its expert. At no time has one no job: a sweep would find it.
  for (const document of [3, 4]) {
    const key = `${store.keys.jobs('drafter.small')}${id}-${document}`;
    await store.client.hset(key, 'data', JSON.stringify(older(document)));
  }
  await queues.add('expert.large', [older(5)], () => 1);
  await queues.drop('drafter.small', { batch: id, first: 0, documents: 20 }, [5]);
  // As in a Redis that went back in time: the queue names it, and it has no data.
  await system.redis.client.hdel(`{test}:drafter.small:${id}-6`, 'data');
  await Promise.all([system.run('drafter'), system.run('expert')]);
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  const { errors } = await wholeResults(system, batch, docIds(20));
  assert.deepEqual(errors, []);
  assert.deepEqual(
    system.logged('drafter', ({ msg }) => msg === 'handling a job failed: it comes again'),
    [],
  );
  const asked = [system.drafterModel, system.expertModel].flatMap(({ requests }) => requests);
  assert.ok(asked.every(({ body }) => !JSON.stringify(body).includes('of an older shape')));
  const again = dispatcher.lines.slice(from).filter(({ msg }) => msg === 'enqueued again what had lost its job');
  assert.equal(
    again.reduce((sum, { documents }) => sum + Number(documents), 0),
    4,
  );
});

test('a job of a newer Spillway waits for a newer worker, and holds up nobody else', async (t) => {
  const system = await idle(t);
  const { received } = system.drafterModel;
  const { client } = system.redis;
  const { id } = await system.submit(['a', 'b', 'c']);
  await until(async () => (await client.zcard('{test}:drafter.small:prioritized')) === 3);
  const key = `{test}:drafter.small:${id}-1`;
  const today = JSON.parse((await client.hget(key, 'data')) ?? '{}') as DocumentJob;
  const newer = JSON.stringify({ ...today, v: BUNDLE_VERSION + 1, body: 'of a shape to come' });
  await client.hset(key, 'data', newer);
  await system.run('drafter');
  await system.settled(id, (batch) => done(batch) === 2);
  await until(async () => (await client.zscore('{test}:drafter.small:delayed', `${id}-1`)) !== null);
  assert.equal(await client.hget(key, 'data'), newer);
  // The newer worker has come.
  await client.hset(key, 'data', JSON.stringify(today));
  const { errors } = await wholeResults(system, await system.settled(id), docIds(3));
  assert.deepEqual(errors, []);
  assert.equal(system.drafterModel.received, received + 3);
});

test('a job whose handling fails again and again comes ever later, and does not grow', async (t) => {
  const system = await idle(t);
  const { client } = system.redis;
  const { id } = await system.submit(['a']);
  const key = `{test}:drafter.small:${id}-0`;
  await until(async () => (await client.exists(key)) === 1);
  const rules = `{test}:rules:${id}`;
  await client.rename(rules, 'kept');
  await client.hset(rules, 'of', 'another kind');
  await system.run('drafter');
  const delays: number[] = [];
  for (let failures = 1; failures <= 3; failures += 1) {
    await until(async () => Number(await client.hget(key, 'atm')) === failures);
    delays.push(Number(await client.hget(key, 'delay')));
  }
  const [first = 0, , third = 0] = delays;
  assert.ok(first <= 1_000 && third >= 2_000, delays.join());
  const stacks = JSON.parse((await client.hget(key, 'stacktrace')) ?? '[]') as string[];
  assert.deepEqual(
    stacks.map((stack) => /WRONGTYPE/.test(stack)),
    [true],
  );
  await client.rename('kept', rules);
  await wholeResults(system, await system.settled(id), docIds(1));
});

test('the same job delivered twice: one result', async (t) => {
  const system = await idle(t);
  const { received } = system.drafterModel;
  const { id } = await system.submit(['[[hang]] a']);
  await system.run('drafter', { SPILLWAY_LOCK_MS: '4000' });
  await system.drafterModel.waitForRequests(received + 1);
  // The lock is taken away, as when it ran out: another worker gets the job while the first still works on it.
  await system.redis.client.del(`{test}:drafter.small:${id}-0:lock`);
  await system.run('drafter', { SPILLWAY_LOCK_MS: '1000' });
  await system.drafterModel.waitForRequests(received + 2);
  system.drafterModel.release();
  const batch = await system.settled(id);
  await wholeResults(system, batch, ['doc-0']);
});
