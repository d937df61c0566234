import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KEYS } from '@spillway/core';
import type { OpenAI } from 'openai';
import { submitEqual } from '../support/equal.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const DOCUMENTS = 600;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);
const slow = { drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } };

/** Whatever Redis loses, the same processes go on: each test has its own batches. */
const slowSystem = sharedSystem(() => System.start(slow));
const plainSystem = sharedSystem(() => System.start());
const threeStages = sharedSystem(() => System.start({ ...slow, middle: { latencyMs: 20 }, onDeadline: 'draft' }));

const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

/** The moments at which Redis is lost. */
const MOMENTS: Readonly<Record<string, (system: System, id: string) => Promise<unknown>>> = {
  validating: async () => undefined,
  enqueueing: (system, id) => system.settled(id, (batch) => done(batch) >= 20),
  sealing: (system, id) => system.settled(id, (batch) => done(batch) >= 300),
  ending: (system, id) => system.settled(id, (batch) => done(batch) >= 590),
};

test('Redis wiped at every phase of a batch: everything is finished, each document once', async (t) => {
  const system = await slowSystem();
  for (const [moment, reached] of Object.entries(MOMENTS)) {
    await t.test(moment, async () => {
      const copies = await submitEqual(system);
      const { id } = await system.submit(prompts);
      await reached(system, id);
      await system.redis.client.flushall();
      const batch = await system.settled(id);
      assert.equal(batch.status, 'completed');
      await wholeResults(system, batch, docIds(DOCUMENTS));
      await copies.check();
    });
  }
});

/** What Redis can lose with a batch's rules. */
const LOSSES: Readonly<Record<string, (system: System, id: string) => Promise<unknown>>> = {
  'without anything else': (system, id) => system.redis.client.del(`{test}:rules:${id}`),
  'with everything else': (system) => system.redis.client.flushall(),
};

test('the rules of a batch are lost from Redis in mid-batch: nothing is used up, and it ends whole', async (t) => {
  await using system = await System.start({
    ...slow,
    models: { small: { max_attempts: 1 }, large: { max_attempts: 1 } },
  });
  const { client } = system.redis;
  for (const [what, lose] of Object.entries(LOSSES)) {
    await t.test(what, async () => {
      const { id } = await system.submit(prompts);
      await system.settled(id, (batch) => done(batch) >= 100);
      // Workers keep rules that they have read; those that come now have to read them.
      const workers = system.services.filter(({ name }) => name === 'drafter' || name === 'expert');
      await Promise.all(workers.map((worker) => worker.kill()));
      await lose(system, id);
      await Promise.all([system.run('drafter'), system.run('expert')]);
      // Nothing else says so: the sweep finds it.
      const found = (): boolean =>
        system.services.some(({ lines }) =>
          lines.some(({ msg }) => msg === 'Redis lost the rules of a batch: recovering again'),
        );
      if (what === 'without anything else') await until(() => Promise.resolve(found()));
      const batch = await system.settled(id);
      assert.equal(batch.status, 'completed');
      const { output, errors } = await wholeResults(system, batch, docIds(DOCUMENTS));
      assert.deepEqual(errors, []);
      const reasons = new Set(output.map(({ cascade }) => cascade?.stages[0]?.reason));
      assert.deepEqual(reasons, new Set([null, 'low_confidence']));
      await until(async () => (await client.exists(`{test}:rules:${id}`)) === 0);
    });
  }
});

test('Redis restarted with what it had written, and replaced by an empty one', async () => {
  const system = await slowSystem();
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => done(batch) >= 100);
  await system.redis.restart();
  await system.settled(id, (batch) => done(batch) >= 300);
  await system.redis.restart({ lose: true });
  const batch = await system.settled(id);
  await wholeResults(system, batch, docIds(DOCUMENTS));
});

test('Redis taken back in time, as after a restart that lost its last seconds', async () => {
  const system = await slowSystem();
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

/** What Redis says of the time to live of a key that is not there. */
const NO_KEY = -2;

type Dumped = { readonly key: string; readonly value: Buffer; readonly ttlMs: number };

/**
 * Every key as Redis writes it itself, one after the other while work goes on, so that they do not even fit together; the
 * epoch in it is the old process's, as it would be on disk.
 */
async function dumpAll({ redis: { client } }: System): Promise<Dumped[]> {
  const keys = await client.keys('*');
  const dumped = await Promise.all(
    keys.map(async (key) => {
      const [value, ttlMs] = await Promise.all([client.dumpBuffer(key), client.pttl(key)]);
      return value === null || ttlMs === NO_KEY ? [] : [{ key, value, ttlMs: Math.max(0, ttlMs) }];
    }),
  );
  return dumped.flat();
}

async function restoreAll(system: System, dumped: readonly Dumped[]): Promise<void> {
  const writes = system.redis.client.multi();
  for (const { key, value, ttlMs } of dumped) writes.restore(key, ttlMs, value, 'REPLACE');
  await writes.exec();
}

test('a wipe right after a cancel was answered: it stays cancelled, and every document has its line', async () => {
  const system = await slowSystem();
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
  const system = await plainSystem();
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
      `${batch.status}, answered ${answer}`,
    );
    await wholeResults(system, batch, docIds(small.length));
  }
  assert.ok(outcomes.size >= 1);
});

test('a batch whose time runs out: what is done stays, the rest expires; escalated ones give their draft where wanted', async () => {
  await using drafting = await System.start({ onDeadline: 'draft' });
  for (const [onDeadline, system] of [
    ['error', await plainSystem()],
    ['draft', drafting],
  ] as const) {
    const { received } = system.expertModel;
    const texts = ['a', '[[drafter unsure]] [[expert hang]] b', '[[hang]] c'];
    const { id } = await system.submit(texts, { window: '1m' });
    await system.settled(id, (batch) => done(batch) >= 1);
    await system.expertModel.waitForRequests(received + 1);
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
    if (onDeadline === 'draft') {
      const { stage, role, stages = [] } = output[1]?.cascade ?? {};
      assert.deepEqual([stage, role, stages.map(({ outcome }) => outcome)], [1, 'drafter', ['deadline_draft']]);
    }
  }
});

test('a cascade of three stages whose time runs out: the draft of the latest stage that answered whole is delivered', async () => {
  const system = await threeStages();
  const [atExpert, atMiddle] = [system.expertModel.received, system.middleModel.received];
  const texts = [
    '[[drafter unsure]] a',
    '[[drafter unsure]] [[middle unsure]] [[expert hang]] b',
    '[[drafter unsure]] [[middle truncate]] [[expert hang]] c',
    '[[drafter unsure]] [[middle hang]] d',
    '[[drafter truncate]] [[middle hang]] e',
  ];
  const { id } = await system.submit(texts, { window: '1m' });
  await system.settled(id, (batch) => done(batch) >= 1);
  await system.expertModel.waitForRequests(atExpert + 2);
  await system.middleModel.waitForRequests(atMiddle + 5);
  await system.redis.client.hset(`{test}:batch:${id}`, 'expiresAtMs', Date.now());
  const batch = await system.settled(id);
  assert.equal(batch.status, 'expired');
  const { output, errors } = await wholeResults(system, batch, docIds(5));
  assert.deepEqual(
    output.map(({ custom_id: document, cascade }) => [document, ...(cascade?.stages ?? []).map((one) => one.outcome)]),
    [
      ['doc-0', 'escalated', 'accepted'],
      ['doc-1', 'escalated', 'deadline_draft'],
      ['doc-2', 'deadline_draft'],
      ['doc-3', 'deadline_draft'],
    ],
  );
  assert.deepEqual(
    errors.map(({ custom_id: document, error }) => [document, error?.code]),
    [['doc-4', 'batch_expired']],
  );
});

test('a cascade of three stages: Redis wiped and workers killed in mid-batch, each document ends once where it has to', async () => {
  const system = await threeStages();
  const passages = Array.from({ length: DOCUMENTS }, (_, at) =>
    at % 3 === 0 ? `${at}` : at % 3 === 1 ? `[[drafter unsure]] ${at}` : `[[drafter unsure]] [[middle unsure]] ${at}`,
  );
  const { id } = await system.submit(passages);
  await system.settled(id, (batch) => done(batch) >= 100);
  await system.redis.client.flushall();
  await system.settled(id, (batch) => done(batch) >= 300);
  const workers = system.services.filter(({ name }) => name === 'drafter' || name === 'expert');
  await Promise.all(workers.map((worker) => worker.kill()));
  await Promise.all([system.run('drafter'), system.run('expert')]);
  const { output, errors } = await wholeResults(system, await system.settled(id), docIds(DOCUMENTS));
  assert.deepEqual(errors, []);
  assert.ok(output.every(({ cascade }, at) => cascade?.stage === (at % 3) + 1));
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
  const complaints = system
    .complaints()
    .split('\n')
    .filter((line) => line.includes(hurt.id));
  assert.ok(complaints.length > 0 && complaints.length < 40, `logged ${complaints.length} times: ${complaints.at(-1)}`);
  await writeFile(path, whole);
  await wholeResults(system, await system.settled(hurt.id), docIds(DOCUMENTS));
  const asked = system.drafterModel.requests.filter(({ body }) => JSON.stringify(body['messages']).includes('"1"'));
  assert.equal(asked.length, 1, 'a document of a sealed page is not asked again');
});
