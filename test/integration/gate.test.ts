import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterRefusal, readConfiguration } from '@spillway/core';
import { openTier } from '@spillway/models';
import { closeGate, openGate, readGate } from '../../packages/redis/src/gate.ts';
import { boardOn } from '../support/boards.ts';
import { jobOf } from '../support/jobs.ts';
import { startModelServer, type ModelRequest, type Scripted } from '../support/model-server.ts';
import { startRedis } from '../support/redis.ts';
import { signal } from '../support/signal.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `question ${index}`);

const refusal = (retryAfterS?: number): Scripted => ({
  kind: 'status',
  status: 429,
  ...(retryAfterS === undefined ? {} : { headers: { 'retry-after': String(retryAfterS) } }),
});

const GATE = '{test}:gate-state:draft.small';

test('a server that asks to wait is left alone by every worker, then asked by one, and by all once that one was answered', async () => {
  const WAIT_S = 6;
  const asked: { readonly atMs: number; answeredAtMs: number }[] = [];
  let refused = 0;
  const held = Promise.withResolvers<void>();
  await using drafter = await startModelServer({
    answer: async (): Promise<Scripted> => {
      const one = { atMs: performance.now(), answeredAtMs: Number.POSITIVE_INFINITY };
      asked.push(one);
      const first = asked[0]?.answeredAtMs ?? Number.POSITIVE_INFINITY;
      const isEarly = one.atMs < first + 1_000;
      if (isEarly) refused += 1;
      // The first answer after the wait takes its time: nobody else may ask meanwhile.
      else if (asked.length === refused + 1) await held.promise;
      one.answeredAtMs = performance.now();
      return isEarly ? refusal(WAIT_S) : { kind: 'completion' };
    },
  });
  await using system = await System.create({
    models: { small: { base_url: drafter.baseURL, concurrency: 4, max_tries: 1 } },
    env: { HEALTH_PORT: '0' },
  });
  const [api] = await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
  const { id } = await system.submit(many(60));
  await until(async () => (await system.redis.client.exists(GATE)) === 1);
  await system.run('drafter');
  await until(async () => asked.length > refused);
  const { reason } = (await signal(api, 'drafter/small')).told;
  assert.match(reason, /^held: .*429/, 'also while one tries');
  // Longer than a worker waits before it looks again.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  held.resolve();
  const { errors } = await wholeResults(system, await system.settled(id), docIds(60));
  assert.deepEqual(errors, []);
  assert.ok(refused <= 4, `${refused} were asked of a server that had asked to wait`);
  const [probe, ...others] = asked.slice(refused);
  assert.ok(probe && probe.atMs - (asked[0]?.answeredAtMs ?? 0) > WAIT_S * 1_000 - 100, 'it came too early');
  for (const { atMs } of others) assert.ok(atMs >= probe.answeredAtMs, 'another one asked while the first one tried');
  assert.equal((await signal(api, 'drafter/small')).told.gate, null);
});

for (const status of [429, 503]) {
  test(`workers come to what a server takes together that says ${status} to the rest`, async () => {
    const TAKES = 8;
    let inWork = 0;
    let refused = 0;
    const answer = async (): Promise<Scripted> => {
      if (inWork >= TAKES) {
        refused += 1;
        return { kind: 'status', status };
      }
      inWork += 1;
      await new Promise((resolve) => setTimeout(resolve, 100));
      inWork -= 1;
      return { kind: 'completion' };
    };
    await using drafter = await startModelServer({ answer });
    await using system = await System.start({
      models: { small: { base_url: drafter.baseURL, concurrency: 64, max_tries: 1 } },
    });
    await Promise.all([system.run('drafter'), system.run('drafter')]);
    const { id } = await system.submit(many(600));
    // At best it is 7.5 s.
    const { errors } = await wholeResults(system, await system.settled(id, undefined, 30_000), docIds(600));
    assert.deepEqual(errors, []);
    // A gate that opens on all at once met 6,127 for 1,000 documents.
    assert.ok(refused < 900, `${refused} refusals for 600 documents`);
    if (status === 429) assert.equal(await system.redis.client.exists(GATE), 0, 'it worked: no gate was closed');
  });
}

test('a server that takes not even one call at a time: its tier is held at what it has, and goes on when it can', async () => {
  let takes = false;
  await using drafter = await startModelServer({
    answer: (): Scripted => (takes ? { kind: 'completion' } : refusal()),
  });
  await using system = await System.create({
    models: { small: { base_url: drafter.baseURL, concurrency: 4, max_tries: 1, scaling: { drain_s: 1 } } },
    env: { HEALTH_PORT: '0' },
  });
  const [api] = await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
  const { id } = await system.submit(many(200));
  await until(async () => (await signal(api, 'drafter/small')).told.gate !== null);
  const { required, reason } = (await signal(api, 'drafter/small')).told;
  assert.deepEqual([required, reason], [1, 'held: the model server limits the rate (429)']);
  takes = true;
  const { errors } = await wholeResults(system, await system.settled(id), docIds(200));
  assert.deepEqual(errors, []);
});

for (const [told, retryAfterS] of [
  ['without a wait', undefined],
  ['with one', 1],
] as const) {
  test(`a document that is refused for itself, ${told}, holds up nobody else`, async () => {
    let poisoned = 0;
    const answer = async ({ body }: ModelRequest): Promise<Scripted> => {
      if (JSON.stringify(body).includes('question 5"')) {
        poisoned += 1;
        return refusal(retryAfterS);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      return { kind: 'completion' };
    };
    await using drafter = await startModelServer({ answer });
    await using system = await System.start({
      models: { small: { base_url: drafter.baseURL, concurrency: 4, max_tries: 1 } },
    });
    const { id } = await system.submit(many(300));
    await system.settled(id, (batch) => batch.request_counts?.completed === 299, 30_000);
    assert.ok(poisoned >= 1 && poisoned < 20, `it was asked ${poisoned} times`);
    assert.equal((await system.client.batches.retrieve(id)).status, 'in_progress', 'no try of it is used up');
  });
}

test('a document that was refused again and again while others were answered has the refusal for its answer', async () => {
  await using server = await startModelServer({ answer: () => refusal(3_600) });
  const read = readConfiguration(`models:
  small: { base_url: ${server.baseURL}, model: s }
cascades:
  test: { drafter: small, expert: small, accept_at: 0.5 }`);
  assert.ok(read.kind === 'valid' && read.configuration.models['small']);
  const model = { name: 'small', spec: read.configuration.models['small'], apiKey: null };
  await using tier = openTier(model, { role: 'expert', propagates: false, onCall: () => undefined });
  const options = { signal: new AbortController().signal, topLogprobs: 0, stalls: 0 };
  let job = jobOf({ batch: 'a', document: 0 });
  let now = 0;
  const refusedAgain = (heardAtMs: number): void => {
    job = { ...job, refused: afterRefusal(job, heardAtMs, (now += 1_000)) };
  };
  for (let times = 0; times < 100; times += 1) refusedAgain(0);
  assert.equal((await tier.ask(job, options)).kind, 'gate', 'its server answered nobody');
  for (let times = 0; times < 30; times += 1) refusedAgain(now + 1);
  const asked = await tier.ask(job, options);
  assert.equal(asked.kind === 'exhausted' && asked.answer?.status, 429);
});

test('calls that were under way together close a gate once, for the longest time told; what began before is of the past', async () => {
  await using redis = await startRedis();
  await using board = await boardOn(redis, 'gates');
  const close = async (toldMs: number | null, ageMs = 0) =>
    await closeGate(board, 'draft.small', { toldMs, reason: `told ${toldMs}` }, ageMs);
  const about = (ms: number, most: number): void => assert.ok(ms > most - 2_000 && ms <= most, `${ms} ms`);

  const first = await close(60_000.4, 100);
  assert.equal(first.closings, 1);
  about(first.waitMs, 60_001);
  const shorter = await close(1_000, 5_000);
  assert.equal(shorter.closings, 0);
  about(shorter.waitMs, 60_001);
  about((await close(null, 5_000)).waitMs, 60_001);
  about((await close(null)).waitMs, 60_001);
  about((await close(90_000, 5_000)).waitMs, 90_000);
  assert.equal(await readGate(board, 'draft.small'), 'told 60000.4');

  assert.equal(await openGate(board, 'draft.small'), 'WAIT', 'the server asked to be left alone');
  await board.client.hset(board.keys.gate('draft.small'), 'told', 1);
  assert.equal(await openGate(board, 'draft.small'), 'OPENED');
  assert.equal(await openGate(board, 'draft.small'), 'OPEN');
  assert.equal(await readGate(board, 'draft.small'), null);
  assert.deepEqual(await close(3_600_000, 30_000), { waitMs: 0, closings: 0 }, 'begun before it opened');
  assert.equal(await readGate(board, 'draft.small'), null);
});

test('a gate that is closed again and again waits longer, up to half a minute, and anew after it was open', async () => {
  await using redis = await startRedis();
  await using board = await boardOn(redis, 'backoff');
  const down = { toldMs: null, reason: 'down' };
  const waits: number[] = [];
  const over = () => board.client.hset(board.keys.gate('draft.small'), 'until', 1);
  for (let closing = 0; closing < 12; closing += 1) {
    const { waitMs, closings } = await closeGate(board, 'draft.small', down, 0);
    waits.push(waitMs);
    assert.equal(closings, Math.min(closing + 1, 7));
    await over();
  }
  assert.ok((waits[0] ?? 0) <= 500, waits.join());
  for (const ms of waits.slice(7)) assert.ok(ms >= 14_000 && ms <= 30_000, waits.join());
  await openGate(board, 'draft.small');
  assert.ok((await closeGate(board, 'draft.small', down, 0)).waitMs <= 500);
});
