import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, pairs, quantile, verdictOf, type Figure } from './figure.ts';
import { pictureOf } from './picture.ts';
import { shown, tableOf } from './table.ts';

const FIGURE: Figure = {
  figure: 'documents a second',
  reference: 'the script',
  unit: '/s',
  rounds: pairs([1_500, 3_000, 900], [1_000, 1_500, 1_000]),
  aim: { atLeast: 1.5 },
  notes: ['concurrency 32 & 16'],
};

test('a ratio is the median of the rounds, each of its own two numbers', () => {
  const { ratio, measured, isMet } = verdictOf(FIGURE);
  assert.deepEqual(ratio, { median: 1.5, least: 0.9, most: 2 });
  assert.deepEqual(measured, { median: 1_500, least: 900, most: 3_000 });
  assert.equal(isMet, true);
  assert.equal(verdictOf({ ...FIGURE, aim: { atMost: 1.4 } }).isMet, false);
  assert.equal(verdictOf({ ...FIGURE, rounds: [] }).isMet, null);
});

test('medians and quantiles', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
  assert.equal(quantile([1, 2, 3, 4], 0.99), 4);
  assert.equal(quantile([1, 2, 3, 4], 0.5), 3);
});

test('numbers are shown with three digits that count', () => {
  assert.deepEqual([1_234_567, 1_234.5, 12.345, 1.2345, 0.012345, 0, Number.NaN].map(shown), [
    '1,234,567',
    '1,235',
    '12.3',
    '1.23',
    '0.012',
    '0',
    '–',
  ]);
});

test('the table has a line for each figure, and its notes', () => {
  const lines = tableOf([FIGURE, { ...FIGURE, figure: 'two drafters', rounds: [], notes: ['no free cores: 2'] }]).split(
    '\n',
  );
  assert.match(
    lines[2] ?? '',
    /^documents a second  1,500 \/s +1,000 \/s +the script  1\.50 × \(0\.90 … 2\.00\) +≥ 1\.5 ×  yes$/,
  );
  assert.equal(lines[3], '    concurrency 32 & 16');
  assert.match(lines[4] ?? '', /^two drafters +– \/s .* not measured +≥ 1\.5 ×  –$/);
});

test('the picture escapes what it says, and shows each ratio', () => {
  const picture = pictureOf('<Aims>', '2 cores & others', [FIGURE, { ...FIGURE, aim: { atMost: 1.4 } }]);
  assert.match(picture, /&lt;Aims&gt;/);
  assert.match(picture, /2 cores &amp; others/);
  assert.equal(picture.match(/1\.5 ×<\/text>/g)?.length, 3, 'two ratios and an aim');
  assert.equal(picture.match(/<circle/g)?.length, 2);
});
