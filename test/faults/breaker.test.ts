import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStageModel } from '@spillway/cascade';
import { afterRefusal, readConfiguration, type Opening } from '@spillway/core';
import {
  closeBreaker,
  enqueuePage,
  leaveAlone,
  leaveProbe,
  noteBroken,
  openBreaker,
  Queues,
  readBreaker,
  readHolds,
  startJob,
} from '@spillway/redis';
import { jobOf } from '../support/jobs.ts';
import { startModelServer, type ModelRequest, type Scripted } from '../support/model-server.ts';
import { startRedis } from '../support/redis.ts';
import { signal } from '../support/signal.ts';
import { markRecovered, openBatch, storeOn } from '../support/stores.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `question ${index}`);

const refusal = (retryAfterS?: number): Scripted => ({
  kind: 'status',
  status: 429,
  ...(retryAfterS === undefined ? {} : { headers: { 'retry-after': String(retryAfterS) } }),
});

const unprovenCall = {
  stage: 0,
  cause: 'ambiguous',
  answer: null,
  error: { code: 'server_error', message: 'reset' },
  why: { type: 'reset', message: 'reset' },
  startedAtMs: 1,
  endedAtMs: 2,
} as const;

const BREAKER = '{test}:breaker:drafter.small';

test('a server that asks to wait is asked by no worker, then by one, and by all once that one was answered', async () => {
  // Longer than a process takes to start on a busy machine: the second one comes while the first waits.
  const WAIT_S = 12;
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
    models: { small: { base_url: drafter.baseURL, concurrency: 4, max_attempts: 1 } },
    env: { HEALTH_PORT: '0' },
  });
  const [api] = await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
  const { id } = await system.submit(many(60));
  await until(async () => (await system.redis.client.hexists(BREAKER, 'reason')) === 1);
  await system.run('drafter');
  await using store = await storeOn(system.redis, 'test');
  const before = await readBreaker(store, 'drafter.small');
  assert.equal(before.state, 'held');
  assert.match(before.reason ?? '', /429/);
  await until(async () => asked.length > refused);
  const { reason } = (await signal(api, 'drafter/small')).body;
  assert.match(reason, /^held: .*429/, 'also while one call probes');
  assert.deepEqual(await readBreaker(store, 'drafter.small'), { ...before, state: 'half_open' });
  // Longer than a worker waits before it looks again.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  held.resolve();
  const { output, errors } = await wholeResults(system, await system.settled(id), docIds(60));
  assert.deepEqual(errors, []);
  // What the server asked for was no want of drafters, and is not taken for it.
  type Shown = { stages: { delay_ms: { backpressure?: { count: number } } }[] };
  const report = (await system.client.get(`/batches/${id}/report`)) as Shown;
  assert.equal(report.stages[0]?.delay_ms.backpressure?.count, 60);
  for (const { cascade } of output) {
    const { queue, delays } = cascade?.stages[0]?.wait_ms ?? assert.fail();
    assert.ok((delays?.backpressure ?? 0) > WAIT_S * 900, JSON.stringify(delays));
    assert.ok((queue ?? 0) < 3_000, `${queue} ms in the queue`);
  }
  assert.ok(refused <= 4, `${refused} were asked of a server that had asked to wait`);
  const [probe, ...others] = asked.slice(refused);
  assert.ok(probe && probe.atMs - (asked[0]?.answeredAtMs ?? 0) > WAIT_S * 1_000 - 100, 'it came too early');
  for (const { atMs } of others) assert.ok(atMs >= probe.answeredAtMs, 'another call was made while one probed');
  assert.equal((await signal(api, 'drafter/small')).body.breaker, null);
  assert.deepEqual(await readBreaker(store, 'drafter.small'), { state: 'closed', reason: null });
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
      models: { small: { base_url: drafter.baseURL, concurrency: 64, max_attempts: 1 } },
    });
    await Promise.all([system.run('drafter'), system.run('drafter')]);
    const { id } = await system.submit(many(600));
    // At best it is 7.5 s.
    const { errors } = await wholeResults(system, await system.settled(id, undefined, 30_000), docIds(600));
    assert.deepEqual(errors, []);
    // A breaker that lets all workers go on at once met 6,127 for 1,000 documents.
    assert.ok(refused < 900, `${refused} refusals for 600 documents`);
    const opened = await system.redis.client.hmget(BREAKER, 'reason', 'closedAt');
    if (status === 429) assert.deepEqual(opened, [null, null], 'it worked: no breaker was opened');
  });
}

test('a server that takes not even one call at a time: its tier is held at what it has, and goes on when it can', async () => {
  let takes = false;
  await using drafter = await startModelServer({
    answer: (): Scripted => (takes ? { kind: 'completion' } : refusal()),
  });
  await using system = await System.create({
    models: { small: { base_url: drafter.baseURL, concurrency: 4, max_attempts: 1, scaling: { drain_s: 1 } } },
    env: { HEALTH_PORT: '0' },
  });
  const [api] = await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
  const { id } = await system.submit(many(200));
  await until(async () => (await signal(api, 'drafter/small')).body.breaker !== null);
  const { required, reason } = (await signal(api, 'drafter/small')).body;
  assert.deepEqual([required, reason], [1, 'held: the model server limits the rate (429)']);
  takes = true;
  const { errors } = await wholeResults(system, await system.settled(id), docIds(200));
  assert.deepEqual(errors, []);
});

for (const [asking, retryAfterS] of [
  ['without a wait', undefined],
  ['with one', 1],
] as const) {
  test(`a document that is refused for itself, ${asking}, holds up nobody else`, async () => {
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
      models: { small: { base_url: drafter.baseURL, concurrency: 4, max_attempts: 1 } },
    });
    const { id } = await system.submit(many(300));
    await system.settled(id, (batch) => batch.request_counts?.completed === 299, 30_000);
    assert.ok(poisoned >= 1 && poisoned < 20, `it was asked ${poisoned} times`);
    assert.equal((await system.client.batches.retrieve(id)).status, 'in_progress', 'no attempt of it is used up');
  });
}

test('a document that was refused again and again while others were answered has the refusal for its answer', async () => {
  await using server = await startModelServer({ answer: () => refusal(3_600) });
  const read = readConfiguration(`models:
  small: { base_url: ${server.baseURL}, model: s }
  large: { base_url: ${server.baseURL}, model: l }
cascades:
  test: { drafter: small, expert: large, accept_at: 0.5 }`);
  assert.ok(read.kind === 'valid');
  const { configuration } = read;
  const spec = configuration.models['large'];
  assert.ok(spec !== undefined);
  const served = { name: 'large', spec, apiKey: null };
  const options = { role: 'expert', configuration, propagates: false, onCall: () => undefined } as const;
  await using model = openStageModel(served, options);
  const attempt = { signal: new AbortController().signal, topLogprobs: 0, watching: null, stalls: 0 };
  let job = jobOf({ batch: 'a', document: 0 });
  let now = 0;
  const refuseAgain = (answeredAtMs: number): void => {
    job = { ...job, refused: afterRefusal(job.refused, answeredAtMs, (now += 1_000)) };
  };
  for (let times = 0; times < 100; times += 1) refuseAgain(0);
  assert.equal((await model.ask(job, attempt)).kind, 'hold', 'its server answered nobody');
  for (let times = 0; times < 30; times += 1) refuseAgain(now + 1);
  const asked = await model.ask(job, attempt);
  assert.equal(asked.kind === 'exhausted' && asked.answer?.status, 429);
});

const TIER = 'drafter.small';
const jobAt = (document: number) => ({ tier: TIER, id: `a-${document}` });

/** What a call says that began so long ago, and nobody was answered since. */
function openingOf({ ageMs, ...said }: Pick<Opening, 'cause' | 'askedMs' | 'reason'> & { ageMs: number }): Opening {
  const begunAtMs = Date.now() - ageMs;
  return { ...said, begunAtMs, sinceMs: begunAtMs };
}

test('calls that were under way together open a breaker once, for the longest wait asked for; what began before it closed is of the past', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'breakers');
  const open = async (askedMs: number | null, ageMs = 0) =>
    await openBreaker(store, TIER, openingOf({ cause: 'asked', askedMs, reason: `asked for ${askedMs}`, ageMs }));
  const about = (ms: number, most: number): void => assert.ok(ms > most - 2_000 && ms <= most, `${ms} ms`);

  const first = await open(60_000.4, 100);
  assert.equal(first.openings, 1);
  about(first.waitMs, 60_001);
  const shorter = await open(1_000, 5_000);
  assert.equal(shorter.kind, 'joined');
  about(shorter.waitMs, 60_001);
  about((await open(90_000, 5_000)).waitMs, 60_001);
  assert.deepEqual(await readBreaker(store, TIER), { state: 'held', reason: 'asked for 60000.4' });

  assert.equal(await closeBreaker(store, TIER), 'WAIT', 'the server asked for a longer wait');
  await store.client.hset(store.keys.breaker(TIER), 'until', 1);
  assert.equal(await closeBreaker(store, TIER), 'CLOSED');
  assert.equal(await closeBreaker(store, TIER), 'ALREADY');
  assert.deepEqual(await readBreaker(store, TIER), { state: 'closed', reason: null });
  assert.equal((await open(3_600_000, 30_000)).kind, 'past', 'begun before it closed');
  assert.deepEqual(await readBreaker(store, TIER), { state: 'closed', reason: null });
});

test('a breaker that opens again and again waits longer, up to half a minute, and anew after it was closed', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'backoff');
  const down = () => openingOf({ cause: 'down', askedMs: null, reason: 'down', ageMs: 0 });
  const waits: number[] = [];
  const over = () => store.client.hset(store.keys.breaker(TIER), 'until', 1);
  for (let opening = 0; opening < 12; opening += 1) {
    const { waitMs, openings } = await openBreaker(store, TIER, down());
    waits.push(waitMs);
    assert.equal(openings, Math.min(opening + 1, 7));
    await over();
  }
  assert.ok((waits[0] ?? 0) <= 500, waits.join());
  for (const ms of waits.slice(7)) assert.ok(ms >= 14_000 && ms <= 30_000, waits.join());
  await closeBreaker(store, TIER);
  assert.ok((await openBreaker(store, TIER, down())).waitMs <= 500);
});

test('a breaker is half open while one call probes the server, and open again when that call was given up or failed', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'probes');
  await markRecovered(store);
  await openBatch(store, 'a', 2, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents: 2, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  const taking = { priority: 1, answered: null, callMs: 1_000, losses: 0 };
  const start = async (document: number, breaks = 0) => {
    const { state, ms } = await startJob(
      store,
      jobAt(document),
      [{ ...jobOf({ batch: 'a', document }), breaks }],
      taking,
    );
    return { state, ms };
  };
  const state = async () => (await readBreaker(store, TIER)).state;
  const down = () => openingOf({ cause: 'down', askedMs: null, reason: 'down', ageMs: 0 });

  await openBreaker(store, TIER, down());
  assert.equal((await start(0)).state, 'WAIT');
  assert.equal(await state(), 'open');
  await store.client.hset(store.keys.breaker(TIER), 'until', 1);
  assert.equal(await state(), 'open', 'its time is over, and no call was made');
  const probe = await start(0);
  assert.equal(probe.state, 'PROBE');
  assert.equal(await state(), 'half_open');
  assert.deepEqual(await start(1), { state: 'WAIT', ms: 0 }, 'one call at a time');

  await leaveProbe(store, TIER, probe.ms - 1);
  assert.equal(await state(), 'half_open', 'it was not that call');
  await leaveProbe(store, TIER, probe.ms);
  assert.equal(await state(), 'open');
  assert.equal((await start(1)).state, 'PROBE');
  assert.equal((await openBreaker(store, TIER, down())).openings, 2);
  assert.equal(await state(), 'open');
  await store.client.hset(store.keys.breaker(TIER), 'until', 1);
  assert.equal((await start(1)).state, 'PROBE');
  assert.equal(await closeBreaker(store, TIER), 'CLOSED');
  assert.equal(await state(), 'closed');
  assert.equal((await start(0)).state, 'GO');
  const asked = openingOf({ cause: 'asked', askedMs: 60_000, reason: 'asked', ageMs: 0 });
  await openBreaker(store, TIER, asked);
  const holds = await readHolds(store, TIER);
  assert.deepEqual(
    holds.map(({ reason }) => reason),
    ['breaker', 'backpressure'],
    'what a probe opened again is one, and what is open now counts',
  );
  assert.ok(holds.every(({ fromMs, toMs }) => toMs >= fromMs && toMs <= Date.now() + 1_000));
});

test('who takes a document up learns since when it was with a worker that is gone, however often that happened', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'losses');
  await using queues = new Queues(store);
  await markRecovered(store);
  await openBatch(store, 'a', 1, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents: 1, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  const job = jobOf({ batch: 'a', document: 0 });
  const start = (losses: number) =>
    startJob(store, jobAt(0), [job], { priority: 1, answered: null, callMs: 1_000, losses });
  assert.equal((await start(0)).lostSinceMs, null, 'it has no job: nothing is written of it');
  assert.equal(await store.client.exists(`${store.keys.jobs(TIER)}a-0`), 0);
  await queues.add(TIER, [job], () => 1);
  assert.equal((await start(0)).lostSinceMs, null);
  const again = await start(0);
  assert.equal(again.lostSinceMs, null, 'it was put back');
  assert.equal((await start(1)).lostSinceMs, again.nowMs);
  assert.equal((await start(2)).lostSinceMs, again.nowMs, 'and the next one was lost, too');
  assert.equal((await start(2)).lostSinceMs, null);
});

test('who takes a document up learns whether others of its tier, at any worker, were broken off with it', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'broken');
  await markRecovered(store);
  await openBatch(store, 'a', 4, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents: 4, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  const failed = (document: number, failedAtMs: number) => ({
    ...jobOf({ batch: 'a', document }),
    unproven: { ...unprovenCall, failedAtMs },
  });
  const start = async (document: number, failedAtMs: number): Promise<boolean> => {
    const taking = { priority: 1, answered: null, callMs: 1_000, losses: 0 };
    return (await startJob(store, jobAt(document), [failed(document, failedAtMs)], taking)).brokeTogether;
  };
  const note = (document: number, failedAtMs: number) =>
    noteBroken(store, TIER, { document: `a-${document}`, failedAtMs });
  await note(0, 10_000);
  assert.equal(await start(0, 10_000), false, 'it was alone');
  await note(1, 10_200.5);
  await note(2, 10_600);
  assert.deepEqual([await start(0, 10_000), await start(1, 10_200.5), await start(2, 10_600)], [true, true, false]);
  await note(1, 13_000);
  assert.equal(await start(0, 10_000), true, 'the other one was broken off again since');
  assert.equal(await start(3, 10_100), false, 'it was not broken off, but failed otherwise');
  assert.equal(await start(0, 10_050), false, 'another failure than the one that was noted');
  await note(3, 10_000 + 3_600_000);
  assert.equal(await store.client.zcard(store.keys.broken(TIER)), 1, 'what is long ago is forgotten');
});

test('of documents that are asked alone one goes at a time in the whole tier; what was answered keeps a breaker closed', async () => {
  await using redis = await startRedis();
  await using store = await storeOn(redis, 'alone');
  await markRecovered(store);
  await openBatch(store, 'a', 3, 1);
  await enqueuePage(store, 'a', 0, { first: 0, documents: 3, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  const start = async (document: number, breaks: number, answered: { atMs: number; begunAtMs: number } | null = null) =>
    await startJob(store, jobAt(document), [{ ...jobOf({ batch: 'a', document }), breaks }], {
      priority: 1,
      answered,
      callMs: 60_000,
      losses: 0,
    });
  assert.equal((await start(0, 2)).state, 'GO');
  assert.equal((await start(0, 2)).state, 'GO', 'taken up again, as its worker died');
  assert.equal((await start(1, 2)).state, 'ALONE');
  assert.equal((await start(2, 1)).state, 'GO', 'others go on');
  await leaveAlone(store, TIER, 'a-1');
  assert.equal((await start(1, 2)).state, 'ALONE', 'it was not that one');
  await leaveAlone(store, TIER, 'a-0');
  assert.equal((await start(1, 2)).state, 'GO');

  const atMs = Date.now();
  assert.equal((await start(2, 0, { atMs, begunAtMs: atMs - 100 })).workedAtMs, atMs - 100);
  assert.equal((await start(2, 0, { atMs, begunAtMs: atMs - 500 })).workedAtMs, atMs - 100, 'the latest one counts');
  const said = { cause: 'down', reason: 'down', askedMs: null } as const;
  assert.equal(
    (await openBreaker(store, TIER, { ...said, begunAtMs: atMs - 200, sinceMs: atMs - 50 })).kind,
    'answered',
  );
  assert.equal((await openBreaker(store, TIER, { ...said, begunAtMs: atMs - 200, sinceMs: atMs })).kind, 'opened');
});
