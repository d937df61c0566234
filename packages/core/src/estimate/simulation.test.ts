import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runWorld, worldOf, type World } from '../../../../test/support/pilot-worlds.ts';
import { seededRandom } from '../calibration/measures.ts';

const runs = Array.from({ length: 600 }, (_, at) => {
  const random = seededRandom((at + 1) * 7919);
  return runWorld(worldOf(random), random, `pilot ${at}`);
});

const shareOf = (some: typeof runs, holds: (run: (typeof runs)[number]) => boolean): number =>
  some.filter(holds).length / some.length;

const isPriceHeld = ({ estimate, nanoUsd }: (typeof runs)[number]): boolean =>
  nanoUsd >= estimate.nanoUsd.low && nanoUsd <= estimate.nanoUsd.high;

test('the range of the price holds the final one in nine of ten batches, of whatever kind, and is of use', (context) => {
  const held = shareOf(runs, isPriceHeld);
  const kinds: Readonly<Record<string, (world: World) => boolean>> = {
    'small pilots': ({ pilot }) => pilot === 20,
    'few escalated': ({ escalated }) => escalated <= 0.02,
    'a few large documents': ({ large }) => large > 0,
    'long tails of answers': ({ answerSpread }) => answerSpread > 0.7,
    'three stages': ({ stages }) => stages === 3,
    'two cascades': ({ cascades }) => cascades === 2,
  };
  for (const [name, isOne] of Object.entries(kinds)) {
    const some = runs.filter(({ world }) => isOne(world));
    const share = shareOf(some, isPriceHeld);
    context.diagnostic(`${name}: ${(100 * share).toFixed(1)} % of ${some.length}`);
    assert.ok(some.length > 50 && share > 0.87, `${name}: ${share}`);
  }
  const calm = runs.filter(({ world }) => world.pilot >= 100 && world.escalated >= 0.3 && world.large === 0);
  const widths = calm.map(({ estimate, nanoUsd }) => (estimate.nanoUsd.high - estimate.nanoUsd.low) / nanoUsd);
  const median = widths.toSorted((left, right) => left - right)[Math.floor(widths.length / 2)] ?? Number.NaN;
  context.diagnostic(`${(100 * held).toFixed(1)} % of ${runs.length}; of calm ones the median width is ${median}`);
  assert.ok(held >= 0.9, `${held}`);
  assert.ok(median < 0.6, `${median}`);
});

test('the range of the share of escalated documents holds the final one in nine of ten batches', (context) => {
  const held = shareOf(
    runs,
    ({ estimate, escalated }) => escalated >= estimate.escalated.low && escalated <= estimate.escalated.high,
  );
  context.diagnostic(`${(100 * held).toFixed(1)} % of ${runs.length}`);
  assert.ok(held >= 0.9, `${held}`);
});
