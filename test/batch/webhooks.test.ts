import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEYS, type BatchObject } from '@spillway/core';
import { openStorage } from '@spillway/storage';
import { OpenAI } from 'openai';
import { Receiver, type Got } from '../support/receiver.ts';
import { System, until } from '../support/system.ts';

const SECRET = `whsec_${Buffer.from('a secret of the operator').toString('base64')}`;

async function start(url: string, extra = ''): Promise<System> {
  const env = { HOOK_SECRET: SECRET };
  const more = `webhooks:\n  all: { url: "${url}/all", secret_env: HOOK_SECRET }\n${extra}`;
  return await System.start({ more, env });
}

const unwrap = (got: Got | undefined) => {
  assert.ok(got);
  const client = new OpenAI({ apiKey: 'none' });
  return client.webhooks.unwrap(got.body, got.headers, SECRET);
};

async function killDispatchers(system: System): Promise<void> {
  for (const service of system.services) if (service.name === 'dispatcher') await service.kill();
}

/** What a batch says of itself beside what OpenAI's does. */
const shown = async (system: System, id: string): Promise<BatchObject['spillway']> => {
  const batch: BatchObject = await system.client.get(`/batches/${id}`);
  return batch.spillway;
};

/** The mark of the webhooks that tell of a window at risk; null: there is none left. */
async function unsentRisk(system: System, batch: string): Promise<number | null> {
  await using storage = await openStorage(`file://${system.directory}/data`);
  return await storage.size(KEYS.riskMark(batch));
}

/** No webhook of a batch is left to send. */
async function unmarked(system: System, batch: string): Promise<void> {
  await using storage = await openStorage(`file://${system.directory}/data`);
  await until(async () => (await storage.size(KEYS.hookMark(batch))) === null);
}

test('the end of every batch is sent, as the SDK verifies it', async () => {
  await using receiver = new Receiver();
  const url = await receiver.listen();
  await using system = await start(
    url,
    `  few: { url: "${url}/few", secret_env: HOOK_SECRET, events: [batch.failed] }
  others: { url: "${url}/others", secret_env: HOOK_SECRET, tenants: [somebody] }\n`,
  );
  const completed = await system.submit(['a']);
  const failed = await system.submit(['a', 'a'], { id: () => 'same' });
  const cancelled = await system.submit(['[[hang]]']);
  await system.drafterModel.waitForRequests(2);
  await system.client.batches.cancel(cancelled.id);
  const expected = { completed: completed.id, failed: failed.id, cancelled: cancelled.id };
  for (const [outcome, id] of Object.entries(expected)) {
    await system.settled(id);
    await unmarked(system, id);
    assert.equal(receiver.for(id, '/all').length, 1);
    const event = await unwrap(receiver.for(id, '/all')[0]);
    assert.equal(event.type, `batch.${outcome}`);
    assert.deepEqual((event as { data: unknown }).data, { id });
    assert.equal(receiver.for(id, '/few').length, outcome === 'failed' ? 1 : 0);
  }
  assert.equal(receiver.got.filter(({ path }) => path === '/others').length, 0);
});

test('a webhook that is not taken is sent again, through a killed dispatcher and a wiped Redis, and then no more', async () => {
  await using receiver = new Receiver();
  const url = await receiver.listen();
  await using system = await start(url, `  stuck: { url: "${url}/stuck", secret_env: HOOK_SECRET }\n`);
  let isUp = false;
  receiver.answer = ({ path }, response) => {
    if (isUp) response.end();
    // The other target never answers.
    else if (path === '/all') response.writeHead(503).end();
  };
  const { id } = await system.submit(['a', 'b']);
  await system.settled(id);
  await until(async () => receiver.for(id, '/all').length > 0 && receiver.for(id, '/stuck').length > 0);
  assert.equal((await system.client.batches.retrieve(id)).status, 'completed', 'no batch waits for a webhook');
  await killDispatchers(system);
  await system.redis.client.flushall();
  isUp = true;
  await system.run('dispatcher');
  await unmarked(system, id);
  const all = [...receiver.for(id, '/all'), ...receiver.for(id, '/stuck')];
  assert.equal(new Set(all.map(({ headers }) => headers['webhook-id'])).size, 1, 'it is the same event each time');
  for (const got of all) assert.equal((await unwrap(got)).type, 'batch.completed');
  const count = all.length;
  await killDispatchers(system);
  await system.run('dispatcher');
  const later = await system.submit(['c']);
  await system.settled(later.id);
  await unmarked(system, later.id);
  assert.equal(receiver.for(id, '/all').length + receiver.for(id, '/stuck').length, count);
});

test('a window that will be missed is told once, through a killed dispatcher and a wiped Redis', async () => {
  await using receiver = new Receiver();
  const url = await receiver.listen();
  let isUp = false;
  receiver.answer = (_, response) => void response.writeHead(isUp ? 200 : 503).end();
  const env = { HOOK_SECRET: SECRET };
  const more = `webhooks:
  all: { url: "${url}/all", secret_env: HOOK_SECRET }
  ends: { url: "${url}/ends", secret_env: HOOK_SECRET, events: [batch.cancelled] }\n`;
  // Twenty a second, of which there would have to be a hundred.
  await using system = await System.start({
    more,
    env,
    drafter: { latencyMs: 200 },
    models: { small: { concurrency: 4 } },
  });
  const { id } = await system.submit(
    Array.from({ length: 6_000 }, (_, at) => `question ${at}`),
    { window: '1m' },
  );
  const progress = async () => (await shown(system, id)).progress;
  await until(async () => (await progress()).at_risk === true && receiver.for(id, '/all').length > 0);
  const { left_seconds: left, projected_usd: projected, ...others } = await progress();
  assert.ok(
    left !== null && left.high <= 60 && left.low > left.high - 3,
    `as long as the window: ${JSON.stringify(left)}`,
  );
  assert.ok((others.documents_per_second ?? 0) > 5 && (others.documents_per_second ?? 0) < 25, JSON.stringify(others));
  assert.ok(projected !== null && projected.low > (others.spent_usd ?? 0) && projected.high > projected.low);
  await killDispatchers(system);
  await system.redis.client.flushall();
  const before = receiver.for(id, '/all').length;
  isUp = true;
  await system.run('dispatcher');
  // The mark of it goes once it was taken.
  await until(async () => (await unsentRisk(system, id)) === null);
  const got = receiver.for(id, '/all');
  assert.equal(new Set(got.map(({ headers }) => headers['webhook-id'])).size, 1, 'it is the same event each time');
  const { type, data } = (await unwrap(got.at(-1))) as { type: string; data: unknown };
  assert.deepEqual([type, data], ['batch.at_risk', { id }]);
  assert.ok(got.length > before);
  // It is judged anew by this leader, from what is known after the loss.
  await until(async () => (await progress()).at_risk === true);
  await system.client.batches.cancel(id);
  await system.settled(id);
  await unmarked(system, id);
  const types = receiver.for(id, '/all').map(({ body }) => (JSON.parse(body) as { type: string }).type);
  assert.deepEqual(types, [...got.map(() => 'batch.at_risk'), 'batch.cancelled']);
  assert.equal(receiver.for(id, '/ends').length, 1);
});

test('a batch whose records cannot be read holds up no other webhook', async () => {
  await using receiver = new Receiver();
  await using system = await start(await receiver.listen());
  await using storage = await openStorage(`file://${system.directory}/data`);
  const hurt = `batch_${'0'.repeat(32)}`;
  await storage.create(KEYS.manifest(hurt), Buffer.from('{"v":2,'));
  await storage.create(KEYS.hookMark(hurt), Buffer.from('{}'));
  const dispatcher = system.services.find(({ name }) => name === 'dispatcher');
  await dispatcher?.waitFor(({ step, batch }) => step === 'webhooks' && batch === hurt);
  const { id } = await system.submit(['a']);
  await system.settled(id);
  await until(async () => receiver.for(id, '/all').length === 1);
});
