import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Upstream } from '@spillway/core';
import fc from 'fast-check';
import { tierOrder, upstreamOf, type CascadeWork, type OpenWork, type TierFigures } from './upstream.ts';

const TWO = ['drafter.small', 'expert.large'];
const THREE = ['drafter.small', 'drafter.medium', 'expert.large'];

const none = { accepted: 0, escalated: 0 };
const cascade = (tiers: readonly string[], settled: CascadeWork['settled'] = tiers.map(() => none)): CascadeWork => ({
  tiers,
  settled,
});
const batch = (notEnqueued: number, ...cascades: CascadeWork[]): OpenWork => ({ notEnqueued, cascades });
const figures = (own: Readonly<Record<string, Partial<TierFigures>>>): ReadonlyMap<string, TierFigures> =>
  new Map(Object.entries(own).map(([name, given]) => [name, { queued: 0, perSecond: null, ...given }]));

/** A tier with all before it. */
const withAll = (one: Upstream): Upstream[] => [one, ...one.upstream.flatMap(withAll)];

const near = (found: number | null | undefined, expected: number): void =>
  assert.ok(typeof found === 'number' && Math.abs(found - expected) < 1e-9, `${found} for ${expected}`);

test('two stages: what waits and is not enqueued, times the share that escalates', () => {
  const [unmeasured, ...others] = upstreamOf(
    'expert.large',
    [batch(300, cascade(TWO))],
    figures({ 'drafter.small': { queued: 100 } }),
  );
  assert.deepEqual(others, []);
  near(unmeasured?.documents, 0.3 * 400);
  assert.equal(unmeasured?.perSecond, null, 'nobody works there');
  const settled = [{ accepted: 200, escalated: 50 }, none];
  const [measured] = upstreamOf(
    'expert.large',
    [batch(0, cascade(TWO, settled))],
    figures({ 'drafter.small': { queued: 16, perSecond: 40 }, 'expert.large': { queued: 150, perSecond: 7 } }),
  );
  near(measured?.documents, (206 / 420) * 16);
  near(measured?.perSecond, (206 / 420) * 40);
});

test('nothing comes to a first stage, nor by a batch that does not pass the tier', () => {
  const work = [batch(10, cascade(TWO)), batch(10, cascade(['drafter.other', 'expert.other']))];
  assert.deepEqual(upstreamOf('drafter.small', work, figures({})), []);
  assert.deepEqual(tierOrder('drafter.small', work), []);
  assert.equal(upstreamOf('expert.large', work, figures({})).length, 1);
});

test('three stages: the shares on the way are multiplied, and what comes from the first comes through the second', () => {
  const settled = [{ accepted: 60, escalated: 40 }, { accepted: 30, escalated: 10 }, none];
  const work = [batch(1_000, cascade(THREE, settled))];
  const own = figures({
    'drafter.small': { queued: 200, perSecond: 100 },
    'drafter.medium': { queued: 50, perSecond: 10 },
    'expert.large': { queued: 30, perSecond: 2 },
  });
  const first = (40 + 80 + 6) / (60 + 40 + 80 + 20);
  const second = (10 + 30 + 6) / (30 + 10 + 30 + 20);
  const [medium, ...others] = upstreamOf('expert.large', work, own);
  assert.deepEqual(others, []);
  const [small, ...more] = medium?.upstream ?? [];
  assert.deepEqual([more, small?.upstream], [[], []]);
  near(small?.documents, 1_200 * first * second);
  near(small?.perSecond, 100 * first * second);
  near(medium?.documents, 50 * second);
  near(medium?.perSecond, 10 * second);
  const [toMedium, ...rest] = upstreamOf('drafter.medium', work, own);
  assert.deepEqual(rest, []);
  near(toMedium?.documents, 1_200 * first);
  near(toMedium?.perSecond, 100 * first);
  const [known] = upstreamOf(
    'expert.large',
    work,
    new Map([...own, ['drafter.medium', { queued: 50, perSecond: null }]]),
  );
  assert.equal(known?.perSecond, null, 'a tier whose rate is not known holds back nothing');
});

test('a queue that several cascades share is counted once, and a batch of several cascades too', () => {
  const mixed = batch(100, cascade(TWO), cascade(THREE));
  const queued = figures({ 'drafter.small': { queued: 100 } });
  const coming = upstreamOf('expert.large', [mixed, batch(0, cascade(THREE))], queued);
  const all = coming.flatMap(withAll);
  near(
    all.reduce((sum, { documents }) => sum + documents, 0),
    0.3 * 200,
  );
  assert.equal(all.length, 2);
});

test('tiers are read in the order in which a document passes them', () => {
  const work = [batch(0, cascade(TWO)), batch(0, cascade(['drafter.tiny', ...THREE])), batch(0, cascade(THREE))];
  assert.deepEqual(tierOrder('expert.large', work), [
    ['drafter.tiny'],
    ['drafter.small'],
    ['drafter.medium'],
    ['expert.large'],
  ]);
  assert.deepEqual(tierOrder('drafter.medium', [batch(0, cascade(THREE))]), [
    ['drafter.small'],
    ['drafter.medium'],
    ['expert.large'],
  ]);
});

const names = ['drafter.a', 'drafter.b', 'drafter.c', 'expert.d', 'expert.e'];
const counts = fc.record({ accepted: fc.nat(1_000), escalated: fc.nat(1_000) });
const cascades = fc.shuffledSubarray(names, { minLength: 2 }).chain((tiers) =>
  fc.record({
    tiers: fc.constant(tiers),
    settled: fc.array(counts, { minLength: tiers.length, maxLength: tiers.length }),
  }),
);
const works = fc.array(fc.record({ notEnqueued: fc.nat(10_000), cascades: fc.array(cascades, { maxLength: 3 }) }), {
  maxLength: 4,
});
const someFigures = fc.tuple(
  ...names.map(() =>
    fc.record({ queued: fc.nat(10_000), perSecond: fc.option(fc.double({ min: 0, max: 1_000, noNaN: true })) }),
  ),
);

test('never more comes than there is, and never faster than the tiers before it work', () => {
  fc.assert(
    fc.property(works, someFigures, fc.constantFrom(...names), (work, own, tier) => {
      const known = new Map(own.map((one, at) => [names[at] ?? '', one]));
      const coming = upstreamOf(tier, work, known).flatMap(withAll);
      const all =
        own.reduce((sum, { queued }) => sum + queued, 0) + work.reduce((sum, one) => sum + one.notEnqueued, 0);
      assert.ok(coming.reduce((sum, { documents }) => sum + documents, 0) <= all);
      const fastest = own.reduce((most, { perSecond }) => Math.max(most, perSecond ?? 0), 0);
      for (const { documents, perSecond } of coming) {
        assert.ok(documents >= 0);
        assert.ok(perSecond === null || (perSecond >= 0 && perSecond <= fastest));
      }
    }),
  );
});
