import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scalingOf, type ScalingTarget, type TierLoad } from './scaling.ts';

const idle: TierLoad = {
  waiting: 0,
  delayed: 0,
  active: 0,
  unfed: 0,
  toDraft: 0,
  escalatedShare: 0,
  draftRate: null,
  secondsPerDocument: 1,
  concurrency: 10,
  replicas: 1,
  gate: null,
  resting: null,
};
const target: ScalingTarget = { drainSeconds: 60, coldStartSeconds: 0, most: 20 };
const required = (load: Partial<TierLoad>, more: Partial<ScalingTarget> = {}): number =>
  scalingOf({ ...idle, ...load }, { ...target, ...more }).required;

test('enough replicas to work off what waits, is due later, is worked on and is not fed yet', () => {
  assert.equal(required({ waiting: 1_200 }), 2);
  assert.equal(required({ waiting: 300, delayed: 300, active: 300, unfed: 300 }), 2);
  assert.equal(required({ waiting: 1_000_000 }), 20, 'never more than the most');
  assert.equal(required({ active: 1, replicas: 5 }), 1, 'never to nothing while a document is in hand');
  assert.equal(required({ replicas: 5 }), 0);
});

test('an expert is warmed for what its drafters will send over, as fast as they can', () => {
  const expert = { toDraft: 10_000, escalatedShare: 0.3, replicas: 0, secondsPerDocument: 2, concurrency: 16 };
  assert.equal(scalingOf({ ...idle, ...expert }, target).backlog, 3_000, 'nobody knows how fast: all of it');
  const cold = scalingOf({ ...idle, ...expert, draftRate: 5 }, { ...target, coldStartSeconds: 540 });
  assert.equal(cold.backlog, 900, 'what comes in the ten minutes until it works and is done');
  assert.equal(cold.required, 2);
});

test('a closed gate asks for no more, and keeps one that can open it', () => {
  assert.equal(required({ waiting: 100_000, replicas: 3, gate: 'down' }), 3);
  assert.equal(required({ waiting: 1, replicas: 0, gate: 'down' }), 1);
  assert.equal(required({ gate: 'down', replicas: 3 }), 0, 'nothing waits for it');
});

test('where all wait for model servers of their own another one is asked for, with a server of its own', () => {
  assert.equal(required({ waiting: 1, replicas: 1, resting: 'down' }), 2);
  assert.equal(required({ waiting: 100_000, replicas: 2, resting: 'down' }), 3, 'one at a time');
  assert.equal(required({ waiting: 100_000, replicas: 3, resting: 'down' }), 3, 'three nodes are not all unsound');
  assert.equal(
    required({ waiting: 100_000, replicas: 2, resting: 'down' }, { most: 2 }),
    2,
    'never more than the most',
  );
  assert.equal(required({ replicas: 1, resting: 'down' }), 0, 'nothing waits for it');
  assert.equal(scalingOf({ ...idle, waiting: 1, resting: 'down' }, target).gate, 'down');
});

const loads = fc.record({
  waiting: fc.nat(100_000),
  delayed: fc.nat(1_000),
  active: fc.nat(100),
  unfed: fc.nat(1_000_000),
  toDraft: fc.nat(1_000_000),
  escalatedShare: fc.double({ min: 0, max: 1, noNaN: true }),
  draftRate: fc.option(fc.double({ min: 0, max: 10_000, noNaN: true })),
  secondsPerDocument: fc.double({ min: 0.001, max: 600, noNaN: true }),
  concurrency: fc.integer({ min: 1, max: 1_024 }),
  replicas: fc.nat(50),
  gate: fc.constantFrom(null, 'down'),
  resting: fc.constantFrom(null, 'down'),
});
const targets = fc.record({
  drainSeconds: fc.integer({ min: 1, max: 86_400 }),
  coldStartSeconds: fc.nat(3_600),
  most: fc.integer({ min: 1, max: 100 }),
});

test('always a whole number within its bounds, and never nothing while there is work', () => {
  fc.assert(
    fc.property(loads, targets, (load, wish) => {
      const { required: count, backlog } = scalingOf(load, wish);
      assert.ok(Number.isInteger(count) && count >= 0 && count <= wish.most);
      assert.equal(count > 0, backlog > 0);
    }),
  );
});

test('more work never asks for fewer replicas', () => {
  fc.assert(
    fc.property(
      loads,
      targets,
      fc.constantFrom('waiting', 'unfed', 'active', 'toDraft'),
      fc.nat(100_000),
      (load, wish, what, more) => {
        const before = scalingOf(load, wish).required;
        assert.ok(scalingOf({ ...load, [what]: load[what as 'waiting'] + more }, wish).required >= before);
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
            { ...target, most: 200 },
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
