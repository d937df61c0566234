import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closedBreaker, openedBreaker, type Breaker, type Opening } from './breaker.ts';

const CLOSED: Breaker = {
  reason: null,
  cause: null,
  untilMs: 0,
  openedAtMs: 0,
  openings: 0,
  closedAtMs: 0,
  answeredAtMs: 0,
};

const down = (begunAtMs: number, sinceMs = begunAtMs): Opening => ({
  cause: 'down',
  reason: 'down',
  askedMs: null,
  begunAtMs,
  sinceMs,
});

const opened = (known: Breaker, opening: Opening, nowMs: number): Breaker => {
  const became = openedBreaker(known, opening, nowMs, 1);
  assert.ok(became.kind === 'opened', became.kind);
  return became.breaker;
};

test('calls that were under way together are one opening, one that probed opens it anew, for longer', () => {
  const first = opened(CLOSED, down(900), 1_000);
  assert.deepEqual([first.openings, first.untilMs], [1, 1_500]);
  assert.equal(openedBreaker(first, down(950), 1_100, 1).kind, 'joined');
  assert.equal(openedBreaker(first, down(950), 2_000, 1).kind, 'joined', 'it began before the opening');
  const second = opened(first, down(1_600), 1_700);
  assert.deepEqual([second.openings, second.untilMs], [2, 2_700]);
  let now = second;
  for (let openings = 3; openings < 20; openings += 1) now = opened(now, down(now.untilMs), now.untilMs + 1);
  assert.ok(now.openings === 7 && now.untilMs - now.openedAtMs === 30_000, 'up to half a minute');
});

test('what began before it closed, and what others disprove, opens nothing', () => {
  const closed = closedBreaker(opened(CLOSED, down(900), 1_000), 5_000);
  assert.ok(closed !== null && closed.reason === null);
  assert.equal(openedBreaker(closed, down(4_000), 6_000, 1).kind, 'past');
  assert.equal(openedBreaker({ ...closed, answeredAtMs: 7_500 }, down(5_500, 7_000), 8_000, 1).kind, 'answered');
  assert.equal(
    opened({ ...closed, answeredAtMs: 6_500 }, down(5_500, 7_000), 8_000).openings,
    1,
    'as if for the first time',
  );
  // After a failover the clock may be another one.
  assert.equal(opened({ ...closed, closedAtMs: 90_000, answeredAtMs: 90_000 }, down(5_500), 8_000).openings, 1);
});

test('a wait that the server asked for is kept to its end, and no call that began before it makes it longer', () => {
  const asked = { ...down(900), cause: 'asked', askedMs: 7_000 } as const;
  const held = opened(CLOSED, asked, 1_000);
  assert.equal(held.untilMs, 8_000);
  assert.equal(closedBreaker(held, 7_999), null);
  const joined = openedBreaker(held, { ...asked, askedMs: 60_000 }, 2_000, 1);
  assert.ok(joined.kind === 'joined' && joined.breaker.untilMs === 8_000);
  assert.notEqual(closedBreaker(held, 8_000), null);
});

/** A tier's workers before a server with a life of its own, in virtual time: one step is 100 ms. */
const STEP_MS = 100;

type Moment = 'answers' | 'fails' | 'asks to wait';

/** What a simulated tier saw: when calls began, when one was answered, and when its calls were held. */
function simulate(life: readonly Moment[], askedMs: number, jitter: number) {
  let breaker = CLOSED;
  let answeredAtMs = Number.NEGATIVE_INFINITY;
  const begun: number[] = [];
  const waits: { readonly fromMs: number; readonly untilMs: number }[] = [];
  for (const [step, moment] of life.entries()) {
    const nowMs = 10_000 + step * STEP_MS;
    if (breaker.reason !== null && nowMs < breaker.untilMs) continue;
    begun.push(nowMs);
    if (moment === 'answers') {
      answeredAtMs = nowMs;
      breaker = { ...(closedBreaker(breaker, nowMs) ?? breaker), answeredAtMs: nowMs };
      continue;
    }
    const cause = moment === 'fails' ? 'down' : 'asked';
    const sinceMs = cause === 'asked' ? nowMs - 1_000 : nowMs;
    const opening = {
      cause,
      reason: moment,
      askedMs: cause === 'asked' ? askedMs : null,
      begunAtMs: nowMs,
      sinceMs,
    } as const;
    const became = openedBreaker(breaker, opening, nowMs, jitter);
    if (became.kind !== 'opened') continue;
    breaker = became.breaker;
    waits.push({ fromMs: nowMs, untilMs: breaker.untilMs });
    if (cause === 'asked') assert.ok(answeredAtMs <= nowMs - 1_000, 'somebody was answered within the last second');
  }
  return { begun, waits };
}

test('a server that answers nobody is asked once per wait, and no wait is longer than it asked for or half a minute', () => {
  const life = fc.array(fc.constantFrom<Moment>('fails', 'asks to wait'), { minLength: 1, maxLength: 400 });
  fc.assert(
    fc.property(
      life,
      fc.integer({ min: 1, max: 20_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (moments, askedMs, jitter) => {
        const { begun, waits } = simulate(moments, askedMs, jitter);
        assert.equal(begun.length, waits.length);
        for (const [index, { fromMs, untilMs }] of waits.entries()) {
          assert.ok(untilMs - fromMs <= Math.max(askedMs, 30_000));
          const next = begun[index + 1];
          if (next !== undefined) assert.ok(next >= untilMs && next < untilMs + STEP_MS, 'neither sooner nor later');
        }
      },
    ),
  );
});

test('a server that answers somebody in every second is never shut because it asks others to wait', () => {
  const life = fc
    .array(fc.array(fc.constantFrom<Moment>('answers', 'asks to wait'), { minLength: 1, maxLength: 8 }), {
      minLength: 1,
      maxLength: 40,
    })
    .map((seconds) => seconds.flatMap((moments): Moment[] => ['answers', ...moments]));
  fc.assert(
    fc.property(life, fc.integer({ min: 1, max: 3_600_000 }), (moments, askedMs) => {
      assert.deepEqual(simulate(moments, askedMs, 1).waits, []);
    }),
  );
});
