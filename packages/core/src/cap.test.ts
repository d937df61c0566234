import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_COUNTS } from './account.ts';
import { isOverCap, MAX_USD_KEY, maxNanoUsd } from './cap.ts';

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

test('a batch is over its cap once both tiers together have cost as much', () => {
  const metadata = { [MAX_USD_KEY]: '0.000001' };
  assert.equal(isOverCap(metadata, { ...NO_COUNTS, draftNanoUsd: 400, expertNanoUsd: 599 }), false);
  assert.equal(isOverCap(metadata, { ...NO_COUNTS, draftNanoUsd: 400, expertNanoUsd: 600 }), true);
  assert.equal(isOverCap(null, { ...NO_COUNTS, expertNanoUsd: 1e15 }), false);
});
