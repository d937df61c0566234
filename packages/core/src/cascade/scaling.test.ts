import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scalingOf, type ScalingTarget, type TierLoad, type Upstream } from './scaling.ts';

const idle: TierLoad = {
  waiting: 0,
  delayed: 0,
  active: 0,
  notEnqueued: 0,
  upstream: [],
  secondsPerDocument: 1,
  concurrency: 10,
  replicas: 1,
  breaker: null,
  paused: null,
};
const target: ScalingTarget = { drainSeconds: 60, coldStartSeconds: 0, maxReplicas: 20 };
const required = (load: Partial<TierLoad>, more: Partial<ScalingTarget> = {}): number =>
  scalingOf({ ...idle, ...load }, { ...target, ...more }).required;

test('enough replicas to work off what waits, is due later, is worked on and is not enqueued yet', () => {
  assert.equal(required({ waiting: 1_200 }), 2);
  assert.equal(required({ waiting: 300, delayed: 300, active: 300, notEnqueued: 300 }), 2);
  assert.equal(required({ waiting: 1_000_000 }), 20, 'never more than the most');
  assert.equal(required({ active: 1, replicas: 5 }), 1, 'never to nothing while a document is in flight');
  assert.equal(required({ replicas: 5 }), 0);
});

test('what is due before it would be worked off anyway is worked off in time, the earliest first, as far as it can be', () => {
  // Ten a second each, in sixty seconds: two replicas.
  assert.equal(required({ waiting: 1_200, due: [{ documents: 1_200, seconds: 3_600 }] }), 2);
  // In three quarters of twenty seconds.
  assert.equal(required({ waiting: 1_200, due: [{ documents: 1_200, seconds: 20 }] }), 8);
  const due = [
    { documents: 900, seconds: 40 },
    { documents: 300, seconds: 20 },
  ];
  assert.equal(required({ waiting: 1_200, due }), 4, '300 in 15 s are 20, and 1,200 in 30 s are 40 a second');
  const { reason } = scalingOf({ ...idle, waiting: 1_200, due }, target);
  assert.equal(reason, '1200 documents are due in 40 s at 10/s each');
  assert.equal(required({ waiting: 1_200, due }, { coldStartSeconds: 25 }), 20, 'of five seconds that are left of 30');
  const late = [{ documents: 1_200, seconds: 20 }];
  assert.equal(required({ waiting: 1_200, due: late }, { coldStartSeconds: 25 }), 2, 'no new replica is there in time');
});

test('an expert is warmed for what its drafters will send over, as fast as they can', () => {
  const expert = { ...idle, replicas: 0, secondsPerDocument: 2, concurrency: 16 };
  const upstream = (perSecond: number | null) => [{ documents: 3_000, perSecond, upstream: [] }];
  const unknown = scalingOf({ ...expert, upstream: upstream(null) }, target);
  assert.equal(unknown.backlog, 3_000, 'nobody knows how fast: all of it');
  const cold = scalingOf({ ...expert, upstream: upstream(1.5) }, { ...target, coldStartSeconds: 540 });
  assert.equal(cold.backlog, 900, 'what comes in the ten minutes until it works and is done');
  assert.equal(cold.required, 2);
});

test('a last stage is warmed for what every stage before it will send over, each as fast as it can', () => {
  const upstream = [
    { documents: 1_000, perSecond: 1, upstream: [] },
    { documents: 50, perSecond: 10, upstream: [] },
    { documents: 30, perSecond: null, upstream: [] },
    { documents: 20, perSecond: 0, upstream: [] },
  ];
  const scaling = scalingOf({ ...idle, replicas: 0, upstream }, { ...target, coldStartSeconds: 40 });
  assert.equal(scaling.backlog, 100 + 50 + 30 + 0);
  assert.deepEqual([scaling.inFlight, scaling.ratePerReplica, scaling.required], [0, 10, 1]);
  assert.equal(
    required({ upstream: [{ documents: 0.2, perSecond: null, upstream: [] }] }),
    0,
    'less than half a document is none',
  );
});

test('what comes from a first stage through a second is no more than the second lets through', () => {
  const first = { documents: 10_000, perSecond: 100, upstream: [] };
  const second = { documents: 10_000, perSecond: 1, upstream: [first] };
  const slow = scalingOf({ ...idle, replicas: 0, upstream: [second] }, { ...target, coldStartSeconds: 40 });
  assert.equal(slow.backlog, 100);
  const unknown = { ...second, perSecond: null };
  const open = scalingOf({ ...idle, replicas: 0, upstream: [unknown] }, { ...target, coldStartSeconds: 40 });
  assert.equal(open.backlog, 10_000 + 10_000);
});

test('an open breaker asks for no more, and keeps one that can close it', () => {
  assert.equal(required({ waiting: 100_000, replicas: 3, breaker: 'down' }), 3);
  assert.equal(required({ waiting: 1, replicas: 0, breaker: 'down' }), 1);
  assert.equal(required({ breaker: 'down', replicas: 3 }), 0, 'nothing waits for it');
});

test('where all wait for model servers of their own another one is asked for, with a server of its own', () => {
  assert.equal(required({ waiting: 1, replicas: 1, paused: 'down' }), 2);
  assert.equal(required({ waiting: 100_000, replicas: 2, paused: 'down' }), 3, 'one at a time');
  assert.equal(required({ waiting: 100_000, replicas: 3, paused: 'down' }), 3, 'three nodes are not all unsound');
  assert.equal(
    required({ waiting: 100_000, replicas: 2, paused: 'down' }, { maxReplicas: 2 }),
    2,
    'never more than the most',
  );
  assert.equal(required({ replicas: 1, paused: 'down' }), 0, 'nothing waits for it');
  assert.equal(scalingOf({ ...idle, waiting: 1, paused: 'down' }, target).breaker, 'down');
});

/** A tier that hands off, with up to two tiers before it in a row. */
const upstreamsOf = (depth: number): fc.Arbitrary<Upstream> =>
  fc.record({
    documents: fc.double({ min: 0, max: 1_000_000, noNaN: true }),
    perSecond: fc.option(fc.double({ min: 0, max: 10_000, noNaN: true })),
    upstream: depth === 0 ? fc.constant([]) : fc.array(upstreamsOf(depth - 1), { maxLength: 2 }),
  });
const upstreams = upstreamsOf(2);
const loads = fc.record({
  waiting: fc.nat(100_000),
  delayed: fc.nat(1_000),
  active: fc.nat(100),
  notEnqueued: fc.nat(1_000_000),
  upstream: fc.array(upstreams, { maxLength: 4 }),
  secondsPerDocument: fc.double({ min: 0.001, max: 600, noNaN: true }),
  concurrency: fc.integer({ min: 1, max: 1_024 }),
  replicas: fc.nat(50),
  breaker: fc.constantFrom(null, 'down'),
  paused: fc.constantFrom(null, 'down'),
});
const targets = fc.record({
  drainSeconds: fc.integer({ min: 1, max: 86_400 }),
  coldStartSeconds: fc.nat(3_600),
  maxReplicas: fc.integer({ min: 1, max: 100 }),
});

test('always a whole number within its bounds, and never nothing while there is work', () => {
  fc.assert(
    fc.property(loads, targets, (load, wish) => {
      const { required: count, backlog } = scalingOf(load, wish);
      assert.ok(Number.isInteger(count) && count >= 0 && count <= wish.maxReplicas);
      assert.equal(count > 0, backlog > 0);
    }),
  );
});

test('never more is expected of the tiers before than the last of them can let through', () => {
  fc.assert(
    fc.property(fc.array(upstreams, { maxLength: 4 }), targets, (upstream, wish) => {
      const { backlog } = scalingOf({ ...idle, upstream }, wish);
      const seconds = wish.drainSeconds + wish.coldStartSeconds;
      const most = upstream.reduce((sum, { perSecond }) => sum + (perSecond ?? Infinity) * seconds, 0);
      assert.ok(backlog <= most + 0.5);
    }),
  );
});

test('more work never asks for fewer replicas', () => {
  fc.assert(
    fc.property(
      loads,
      targets,
      fc.constantFrom('waiting', 'notEnqueued', 'active', 'upstream', 'stage', 'before'),
      fc.nat(100_000),
      (load, wish, what, more) => {
        const { upstream } = load;
        const grown = {
          upstream: { upstream: upstream.map((one) => ({ ...one, documents: one.documents + more })) },
          stage: { upstream: [...upstream, { documents: more, perSecond: 1, upstream: [] }] },
          before: { upstream: upstream.map((one) => ({ ...one, upstream: [...one.upstream, ...upstream] })) },
          waiting: { waiting: load.waiting + more },
          notEnqueued: { notEnqueued: load.notEnqueued + more },
          active: { active: load.active + more },
        };
        const before = scalingOf(load, wish).required;
        assert.ok(scalingOf({ ...load, ...grown[what] }, wish).required >= before);
      },
    ),
  );
});

test('a backlog that trembles does not make the tier tremble', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 50, max: 60_000 }),
      fc.array(fc.double({ min: -0.04, max: 0.04, noNaN: true }), { minLength: 5, maxLength: 40 }),
      (waiting, noise) => {
        let replicas = 1;
        let changes = 0;
        for (const part of [...noise, ...noise]) {
          const next = scalingOf(
            { ...idle, waiting: Math.round(waiting * (1 + part)), replicas },
            { ...target, maxReplicas: 200 },
          ).required;
          if (next !== replicas) changes += 1;
          replicas = next;
        }
        // Once to where it belongs, and at most a few more while the noise finds its highest.
        const jump = Math.ceil((waiting / 600) * 0.1) + 3;
        assert.ok(changes <= jump, `${changes} changes`);
      },
    ),
  );
});
