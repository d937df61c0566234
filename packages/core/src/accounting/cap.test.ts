import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_USD_KEY } from '../batch/metadata.ts';
import { isOverCap, maxNanoUsd, spentNanoUsd } from './cap.ts';
import { NO_COUNTS } from './counts.ts';

test('a cap is an amount of dollars above 0', () => {
  const capOf = (text: string) => maxNanoUsd({ [MAX_USD_KEY]: text });
  assert.equal(capOf('12.50'), 12_500_000_000);
  assert.equal(capOf('0.000000001'), 1);
  for (const text of ['', '0', '0.0', '-1', '1e3', ' 1', '1,5', 'ten', '1.', '.5', '0.0000000001', 'Infinity']) {
    assert.equal(capOf(text), 'invalid', text);
  }
  assert.equal(maxNanoUsd({ other: '1' }), null);
  assert.equal(maxNanoUsd(null), null);
});

test('a batch is over its cap once all its stages together have cost as much', () => {
  const metadata = { [MAX_USD_KEY]: '0.000001' };
  const spent = (last: number) => ({ ...NO_COUNTS, 'a/1/nanoUsd': 200, 'a/2/nanoUsd': 200, 'b/3/nanoUsd': last });
  assert.equal(spentNanoUsd(spent(599)), 999);
  assert.equal(isOverCap(metadata, spent(599), 0), false);
  assert.equal(isOverCap(metadata, spent(599), 1), true, 'with its audits');
  assert.equal(isOverCap(metadata, spent(600), 0), true);
  assert.equal(isOverCap(null, spent(1e15), 0), false);
  const unspent = { ...NO_COUNTS, allExpertNanoUsd: 1e15, 'a/1/wastedNanoUsd': 1e15 };
  assert.equal(isOverCap(metadata, unspent, 0), false, 'what was not spent, or is counted already, does not count');
});
