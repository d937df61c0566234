import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allowedDisagreements, boundOf } from './allowed.ts';
import { leastSample, planSample } from './sample-plan.ts';

const terms = { target: 0.95, delta: 0.05, populationSize: 9_500 };

test('how many disagreements a sample may have', () => {
  assert.equal(allowedDisagreements(terms, 500), 17);
  assert.equal(allowedDisagreements(terms, 483), 17, 'the least sample that allows as many');
  assert.equal(allowedDisagreements(terms, 482), 16);
  assert.equal(allowedDisagreements(terms, 500, 'as_others'), 16, 'the sample itself may be as wrong as the rest');
  assert.equal(allowedDisagreements({ ...terms, populationSize: null }, 500), 16);
  assert.equal(allowedDisagreements({ ...terms, populationSize: 2_000 }, 500), 22, 'a quarter is mended by the expert');
  assert.equal(allowedDisagreements({ ...terms, target: 1 }, 500), -1);
  assert.equal(allowedDisagreements({ ...terms, target: 0 }, 5), 5);
  assert.equal(allowedDisagreements({ ...terms, populationSize: 0 }, 0), 0);
});

test('a sample that leaves no more than may be wrong allows everything', () => {
  const small = { ...terms, populationSize: 100 };
  assert.equal(allowedDisagreements(small, 95), 95);
  assert.ok(allowedDisagreements(small, 94) < 94);
  assert.equal(allowedDisagreements({ ...small, target: 1 }, 100), 100);
});

test('the target means its decimals', () => {
  // (1 − 0.9) · 9,500 is 949.9999999999998 in doubles.
  const allowed = { target: 0.9, delta: 0.05, populationSize: 9_500 };
  assert.equal(boundOf(allowed, 60, 0) <= 0.1, true);
  assert.equal(allowedDisagreements({ ...allowed, populationSize: 10 }, 9), 9, 'one of ten may be wrong');
});

test('the least samples of the binomial are those of the books', () => {
  const least = [0.95, 0.98, 0.99].map((target) => leastSample({ target, delta: 0.05, populationSize: null }));
  assert.deepEqual(least, [59, 149, 299]);
  assert.equal(leastSample({ target: 1, delta: 0.05, populationSize: null }), null);
  assert.equal(leastSample({ target: 1, delta: 0.05, populationSize: 100 }), 96);
});

const anyTerms = fc.record({
  target: fc.double({ min: 0.5, max: 0.999, noNaN: true }),
  delta: fc.double({ min: 0.001, max: 0.4, noNaN: true }),
  populationSize: fc.integer({ min: 1, max: 3_000 }),
});

test('the bound is within the target, and the next disagreement would not be', () => {
  fc.assert(
    fc.property(anyTerms, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean(), (drawn, share, isFinite) => {
      const n = Math.floor(share * drawn.populationSize);
      const some = isFinite ? drawn : { ...drawn, populationSize: null };
      const allowed = allowedDisagreements(some, n);
      assert.ok(allowed >= -1 && allowed <= n);
      if (allowed < 0) return;
      const bound = boundOf(some, n, allowed);
      assert.ok(bound <= 1 - some.target + 1e-9, `${bound}`);
      assert.ok(allowed >= allowedDisagreements(some, n, 'as_others'), 'mended documents can only help');
    }),
  );
});

test('more documents sampled, a lower target or less certainty never allow fewer', () => {
  fc.assert(
    fc.property(anyTerms, fc.nat(3_000), (some, drawn) => {
      const n = Math.min(drawn, some.populationSize - 1);
      const allowed = allowedDisagreements(some, n);
      assert.ok(allowedDisagreements(some, n + 1) >= allowed);
      assert.ok(allowedDisagreements({ ...some, target: some.target - 0.05 }, n) >= allowed);
      assert.ok(allowedDisagreements({ ...some, delta: some.delta + 0.05 }, n) >= allowed);
    }),
  );
});

test('a planned sample stands on a step, within what is wanted', () => {
  assert.deepEqual(planSample(terms, 500), { kind: 'planned', n: 483, allowed: 17 });
  assert.deepEqual(planSample(terms, 58), { kind: 'too_few', needed: 59 });
  assert.deepEqual(planSample({ ...terms, target: 1 }, 9_500).kind, 'planned');
  fc.assert(
    fc.property(anyTerms, fc.integer({ min: 1, max: 400 }), (some, most) => {
      const plan = planSample(some, most);
      if (plan.kind === 'too_few') {
        assert.ok(plan.needed === null || plan.needed > Math.min(most, some.populationSize));
        return;
      }
      assert.ok(plan.n <= most && plan.n <= some.populationSize);
      assert.equal(plan.allowed, allowedDisagreements(some, plan.n));
      assert.ok(plan.n === 0 || allowedDisagreements(some, plan.n - 1) < plan.allowed, 'one less allows less');
    }),
    { numRuns: 40 },
  );
});

test('what is no term is refused', () => {
  for (const wrong of [
    { target: 1.1 },
    { target: Number.NaN },
    { delta: 0 },
    { delta: 1 },
    { populationSize: 4 },
    { populationSize: 9.5 },
  ]) {
    assert.throws(() => allowedDisagreements({ ...terms, ...wrong }, 5), RangeError, JSON.stringify(wrong));
  }
  assert.throws(() => allowedDisagreements(terms, -1), RangeError);
});
