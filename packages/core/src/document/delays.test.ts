import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jobOf } from '../../../../test/support/jobs.ts';
import { DELAY_REASONS, delaysOf, waitParts, withDelay, type Delay, type KnownWait } from './delays.ts';
import { afterBreak } from '../cascade/failure/index.ts';
import { afterFailure, attemptsWith, delayed, withDraft, withLostCall } from './job.ts';
import { nextStageJob } from './next-stage.ts';
import { draftOf, FAILURE, rulesOf } from '../../../../test/support/jobs.ts';

const delay = (reason: Delay['reason'], fromMs: number, toMs: number): Delay => ({ reason, fromMs, toMs });

const known = (given: Partial<KnownWait>): KnownWait => ({
  sinceMs: 100,
  delays: [],
  nowMs: 1_000,
  holds: [],
  lostSinceMs: null,
  otherwise: null,
  ...given,
});

const outline = (parts: readonly { reason: string; fromMs: number; toMs: number }[]) =>
  parts.map(({ reason, fromMs, toMs }) => [reason, fromMs, toMs]);

test('a wait in parts: what held it up, and between that the queue', () => {
  const delays = delaysOf(
    known({
      delays: [delay('back_off', 150, 250)],
      holds: [delay('breaker', 0, 120), delay('backpressure', 200, 400), delay('breaker', 900, 2_000)],
    }),
  );
  assert.deepEqual(outline(waitParts({ fromMs: 100, toMs: 1_000 }, delays)), [
    ['breaker', 100, 120],
    ['queue', 120, 150],
    ['back_off', 150, 250],
    ['backpressure', 250, 400],
    ['queue', 400, 900],
    ['breaker', 900, 1_000],
  ]);
});

test('a worker that was lost had the document until it was taken up again, whatever the breaker did', () => {
  const holds = [delay('breaker', 200, 600)];
  assert.deepEqual(outline(delaysOf(known({ holds, lostSinceMs: 500 }))), [
    ['breaker', 200, 500],
    ['lost_worker', 500, 1_000],
  ]);
  assert.deepEqual(
    outline(delaysOf(known({ otherwise: { reason: 'breaker', sinceMs: 200 }, delays: [delay('back_off', 300, 400)] }))),
    [
      ['breaker', 200, 300],
      ['back_off', 300, 400],
      ['breaker', 400, 1_000],
    ],
  );
});

test('what follows on itself is one, but for calls', () => {
  const call = { take: undefined, error: FAILURE };
  const delays = [delay('breaker', 200, 300), { ...delay('breaker', 300, 310), call }, delay('breaker', 310, 400)];
  const found = delaysOf(known({ delays, holds: [delay('breaker', 0, 2_000)] }));
  assert.deepEqual(outline(found), [
    ['breaker', 100, 300],
    ['breaker', 300, 310],
    ['breaker', 310, 1_000],
  ]);
});

test('a back-off that was cut short ends where the document was taken up', () => {
  assert.deepEqual(outline(delaysOf(known({ delays: [delay('back_off', 900, 60_000)] }))), [['back_off', 900, 1_000]]);
});

test('a document that is held for hours keeps the longest of its delays', () => {
  let delays: readonly Delay[] = [];
  for (let at = 0; at < 500; at += 1)
    delays = withDelay(delays, delay('backpressure', at * 100, at * 100 + 5 + (at % 90)));
  assert.equal(delays.length, 24);
  assert.ok(delays.every(({ fromMs, toMs }) => toMs - fromMs > 85));
  const holds = Array.from({ length: 200 }, (_, at) => delay('breaker', at * 20, at * 20 + 5));
  assert.equal(delaysOf(known({ nowMs: 5_000, holds })).length, 24);
});

test('a call that brought nothing has its place, also where it becomes known after what came behind it', () => {
  const call = { take: { number: 3, by: 'pod:1' }, error: FAILURE };
  const behind = [delay('back_off', 14_900, 15_500), delay('breaker', 15_500, 20_000)];
  const unproven = {
    stage: 0,
    cause: 'ambiguous',
    answer: null,
    error: { code: 'server_error', message: 'status 500' },
    why: FAILURE,
    startedAtMs: 10_000,
    endedAtMs: 15_000,
    failedAtMs: 15_000,
    take: call.take,
  } as const;
  const job = { ...jobOf(), waitingSinceMs: 0, delays: behind, unproven };
  const { delays = [], breaks } = afterBreak(job, 4);
  assert.equal(breaks, 1);
  assert.deepEqual(outline(waitParts({ fromMs: 0, toMs: 20_100 }, delays)), [
    ['queue', 0, 10_000],
    ['breaker', 10_000, 15_000],
    ['back_off', 15_000, 15_500],
    ['breaker', 15_500, 20_000],
    ['queue', 20_000, 20_100],
  ]);
  assert.deepEqual(delays[0]?.call, call);
  const { take: _, ...old } = unproven;
  assert.deepEqual(afterBreak({ ...job, unproven: old }, 4).delays, behind, 'of whom the version before did not say');
});

test('what an attempt waited for goes with it; what comes after its call is of the next wait', () => {
  const take = { number: 7, by: 'pod-1:8' };
  const waiting = delayed({ ...jobOf(), waitingSinceMs: 100, take }, delay('backpressure', 110, 200));
  const refused = withLostCall(waiting, { startedAtMs: 210, endedAtMs: 220, why: FAILURE }, 'backpressure');
  const later = delayed(refused, delay('back_off', 400, 500));
  const failed = afterFailure(later, 1, { startedAtMs: 300, endedAtMs: 400 }, FAILURE);
  const [attempt] = failed.attempts;
  assert.deepEqual(attempt?.delays, [
    delay('backpressure', 110, 200),
    { ...delay('backpressure', 210, 220), call: { take, error: FAILURE } },
  ]);
  assert.deepEqual([attempt?.take, failed.delays], [take, [delay('back_off', 400, 500)]]);
  const [, second] = attemptsWith(failed, { startedAtMs: 600, endedAtMs: 700, take: { number: 9, by: 'x:1' } }, null);
  assert.deepEqual([second?.delays, second?.take?.number], [[delay('back_off', 400, 500)], 9]);
  const next = nextStageJob({ job: withDraft(failed, draftOf()), rules: rulesOf() }, 900);
  assert.deepEqual([next.delays, next.take], [undefined, undefined]);
  assert.equal(delayed(waiting, delay('breaker', 5, 5)), waiting, 'what took no time is none');
});

const range = fc.tuple(fc.nat(2_000), fc.nat(2_000)).map(([from, ms]) => ({ fromMs: from, toMs: from + ms }));
const anyDelay = fc
  .tuple(fc.constantFrom(...DELAY_REASONS), range)
  .map(([reason, bounds]): Delay => ({ reason, ...bounds }));
const anyWait = fc.record({
  sinceMs: fc.nat(2_000),
  delays: fc.array(anyDelay, { maxLength: 6 }),
  nowMs: fc.nat(4_000),
  holds: fc.array(anyDelay, { maxLength: 6 }),
  lostSinceMs: fc.option(fc.nat(3_000)),
  otherwise: fc.option(fc.record({ reason: fc.constantFrom(...DELAY_REASONS), sinceMs: fc.nat(3_000) })),
});

test('whatever is known of a wait, its parts follow one another without a gap and fill it', () => {
  fc.assert(
    fc.property(anyWait, (wait) => {
      const parts = waitParts({ fromMs: wait.sinceMs, toMs: wait.nowMs }, delaysOf(wait));
      let atMs = wait.sinceMs;
      for (const { fromMs, toMs } of parts) {
        assert.ok(fromMs === atMs && toMs > fromMs, JSON.stringify(parts));
        atMs = toMs;
      }
      assert.equal(atMs, Math.max(wait.sinceMs, wait.nowMs));
    }),
    { numRuns: 500 },
  );
});
