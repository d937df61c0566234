import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeGate, openGate, readGate } from '../../packages/redis/src/gate.ts';
import { boardOn } from '../support/boards.ts';
import { startModelServer, type Scripted } from '../support/model-server.ts';
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
  await using drafter = await startModelServer({
    answer: async (): Promise<Scripted> => {
      const one = { atMs: performance.now(), answeredAtMs: Number.POSITIVE_INFINITY };
      asked.push(one);
      // The first answer after the wait takes its time: nobody else may ask meanwhile.
      const first = asked[0]?.answeredAtMs ?? Number.POSITIVE_INFINITY;
      const isEarly = one.atMs < first + 1_000;
      if (isEarly) refused += 1;
      else if (asked.length === refused + 1) await new Promise((resolve) => setTimeout(resolve, 1_500));
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
  const held = (await signal(api, 'drafter/small')).told;
  assert.match(held.reason, /^held: .*429/, 'also while one tries');
  const { errors } = await wholeResults(system, await system.settled(id), docIds(60));
  assert.deepEqual(errors, []);
  assert.ok(refused <= 4, `${refused} were asked of a server that had asked to wait`);
  const [probe, ...others] = asked.slice(refused);
  assert.ok(probe && probe.atMs - (asked[0]?.answeredAtMs ?? 0) > WAIT_S * 1_000 - 100, 'it came too early');
  for (const { atMs } of others) assert.ok(atMs >= probe.answeredAtMs, 'another one asked while the first one tried');
  assert.equal((await signal(api, 'drafter/small')).told.gate, null);
});

test('a worker asks fewer at a time of a server that takes no more, until it takes more', async () => {
  const TAKES = 8;
  let inWork = 0;
  let refused = 0;
  const answer = async (): Promise<Scripted> => {
    if (inWork >= TAKES) {
      refused += 1;
      return refusal();
    }
    inWork += 1;
    await new Promise((resolve) => setTimeout(resolve, 50));
    inWork -= 1;
    return { kind: 'completion' };
  };
  await using drafter = await startModelServer({ answer });
  await using system = await System.start({
    models: { small: { base_url: drafter.baseURL, concurrency: 64, max_tries: 1 } },
  });
  const { id } = await system.submit(many(400));
  const { errors } = await wholeResults(system, await system.settled(id), docIds(400));
  assert.deepEqual(errors, []);
  assert.ok(refused < 300, `${refused} refusals for 400 documents`);
});

test('calls that were under way together close a gate once, for the longest time told; what began before is of the past', async () => {
  await using redis = await startRedis();
  await using board = await boardOn(redis, 'gates');
  const close = async (toldMs: number | null, ageMs = 0) =>
    await closeGate(board, 'draft.small', { toldMs, reason: `told ${toldMs}`, overloaded: true }, ageMs);
  const about = (ms: number, most: number): void => assert.ok(ms > most - 2_000 && ms <= most, `${ms} ms`);

  const first = await close(60_000.4, 100);
  assert.ok(first.isNew);
  about(first.waitMs, 60_001);
  const shorter = await close(1_000, 5_000);
  assert.equal(shorter.isNew, false);
  about(shorter.waitMs, 60_001);
  about((await close(null, 5_000)).waitMs, 60_001);
  about((await close(90_000, 5_000)).waitMs, 90_000);
  assert.equal(await readGate(board, 'draft.small'), 'told 60000.4');

  assert.equal(await openGate(board, 'draft.small'), true);
  assert.equal(await openGate(board, 'draft.small'), false);
  assert.equal(await readGate(board, 'draft.small'), null);
  assert.deepEqual(await close(3_600_000, 30_000), { waitMs: 0, isNew: false }, 'begun before it opened');
  assert.equal(await readGate(board, 'draft.small'), null);
});

test('a gate that is closed again and again waits longer, up to half a minute, and anew after it was open', async () => {
  await using redis = await startRedis();
  await using board = await boardOn(redis, 'backoff');
  const down = { toldMs: null, reason: 'down', overloaded: false };
  const waits: number[] = [];
  for (let closing = 0; closing < 12; closing += 1) waits.push((await closeGate(board, 'draft.small', down, 0)).waitMs);
  assert.ok((waits[0] ?? 0) <= 500, waits.join());
  for (const ms of waits.slice(7)) assert.ok(ms >= 14_000 && ms <= 30_000, waits.join());
  await openGate(board, 'draft.small');
  assert.ok((await closeGate(board, 'draft.small', down, 0)).waitMs <= 500);
});
