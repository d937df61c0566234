import assert from 'node:assert/strict';
import { test } from 'node:test';
import { estimateOf, type PilotDocument } from './estimate.ts';
import { shareOf } from './share.ts';
import { tiersTime } from './tier-time.ts';

const population = { documents: 1000, characters: 400_000, rates: 1000, pricedCharacters: 400_000 };

const pilotOf = (count: number, escalated: (at: number) => boolean): PilotDocument[] =>
  Array.from({ length: count }, (_, at) => {
    const characters = 200 + 400 * (at / (count - 1));
    const base = 50 + characters;
    return {
      chance: count / population.documents,
      characters,
      rate: 1,
      inputTokens: 10 + characters / 4,
      stages: [
        { tier: 'drafter.a', isReached: true, nanoUsd: base, seconds: 1 },
        { tier: 'expert.b', isReached: escalated(at), nanoUsd: 20 * base, seconds: 4 },
      ],
      expertNanoUsd: 20 * base,
      isEscalated: escalated(at),
    };
  });

test('what goes by the size of documents is known exactly', () => {
  const estimate = estimateOf(
    pilotOf(50, () => true),
    population,
  );
  const exact = 50 * 1000 + 400_000;
  for (const [range, value] of [
    [estimate?.stages[0]?.nanoUsd, exact],
    [estimate?.expertNanoUsd, 20 * exact],
    [estimate?.inputTokens, 10 * 1000 + 100_000],
  ] as const) {
    assert.ok(range !== null && range !== undefined);
    for (const one of Object.values(range)) assert.ok(Math.abs(one / value - 1) < 1e-6, `${one} of ${value}`);
  }
});

test('where nobody was escalated, as many may be as would hide from such a pilot', () => {
  const estimate = estimateOf(
    pilotOf(50, () => false),
    population,
  );
  const second = estimate?.stages[1];
  assert.ok(second !== undefined && estimate !== null);
  assert.deepEqual([second.reached, second.share.low, second.share.likely], [0, 0, 0]);
  assert.ok(second.share.high > 0.05 && second.share.high < 0.08, `${second.share.high}`);
  assert.equal(second.nanoUsd.low, 0);
  // Six in a hundred of them, at more than what the drafts say.
  assert.ok(second.nanoUsd.high > second.share.high * 20 * 450_000);
  assert.ok(estimate.nanoUsd.high > estimate.nanoUsd.likely);
});

test('a share of documents that stand for equally many has the exact range', () => {
  const drawn = Array.from({ length: 50 }, (_, at) => ({ weight: 3, isMarked: at < 5 }));
  const { low, likely, high } = shareOf(drawn, 1e12);
  assert.equal(likely, 0.1);
  // Clopper and Pearson, 90 %: qbeta(.05, 5, 46) and qbeta(.95, 6, 45).
  assert.ok(Math.abs(low - 0.0402) < 5e-4 && Math.abs(high - 0.1991) < 5e-4, `${low} ${high}`);
});

test('nothing was answered, nothing is estimated; one answer has a wide range', () => {
  assert.equal(estimateOf([], population), null);
  const one = estimateOf(pilotOf(2, () => true).slice(0, 1), population);
  assert.ok(one !== null && one.nanoUsd.low < 0.2 * one.nanoUsd.likely && one.nanoUsd.high > 1.8 * one.nanoUsd.likely);
});

test('time is that of the tier that takes longest, at worst of all in a row, and of one document at least', () => {
  const each = { low: 1, likely: 2, high: 3 };
  const known = { low: 100, likely: 100, high: 100 };
  const fast = { documents: known, secondsEach: each, answers: 100, slots: 50 };
  const slow = { ...fast, slots: 10 };
  const time = tiersTime([fast, slow]);
  const [alone, other] = [tiersTime([slow]), tiersTime([fast])];
  assert.deepEqual(time, { ...alone, high: alone.high + other.high });
  assert.ok(time.low < 10 && (time.likely ?? 0) > 20 && time.high > 30, JSON.stringify(time));
  assert.equal(tiersTime([{ ...fast, documents: { low: 1, likely: 1, high: 1 }, slots: 1000 }]).low, 1);
  assert.equal(tiersTime([fast, { ...slow, documents: { low: 0, likely: null, high: 100 } }]).likely, null);
  assert.deepEqual(tiersTime([]), { low: 0, likely: 0, high: 0 });
});
