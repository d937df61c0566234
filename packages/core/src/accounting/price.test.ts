import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nanoUsd, price, usd } from './price.ts';

const tokens = (inputTokens: number, cachedTokens: number, outputTokens: number) => ({
  inputTokens,
  cachedTokens,
  outputTokens,
});

test('what is read, what of it was cached, and what is written have their own prices', () => {
  const at = { input: 1, cached_input: 0.25, output: 4 };
  assert.equal(nanoUsd(tokens(1_000_000, 0, 0), at), 1e9);
  assert.equal(nanoUsd(tokens(1_000_000, 1_000_000, 0), at), 0.25e9);
  assert.equal(nanoUsd(tokens(0, 0, 1_000_000), at), 4e9);
  assert.equal(nanoUsd(tokens(100, 40, 10), at), 60_000 + 10_000 + 40_000);
  assert.equal(usd(tokens(100, 40, 10), at), 0.000_11);
});

test('without a price of their own cached tokens cost as much as others', () => {
  const at = { input: 1, output: 4 };
  assert.equal(nanoUsd(tokens(100, 40, 10), at), nanoUsd(tokens(100, 0, 10), at));
  assert.equal(nanoUsd(tokens(100, 40, 10), { ...at, cached_input: 0 }), 60_000 + 40_000, 'free is a price');
});

test('more cached than read, as some servers say, is all cached and no more', () => {
  const at = { input: 1, cached_input: 0.25, output: 4 };
  assert.equal(nanoUsd(tokens(100, 5_000, 0), at), 25_000);
});

test('a model without a price costs nothing; a price has what is read and what is written', () => {
  assert.equal(nanoUsd(tokens(1e6, 0, 1e6), null), 0);
  assert.equal(price.safeParse({ input: 0, output: 0 }).success, true);
  for (const wrong of [{}, { input: 1 }, { input: -1, output: 0 }, { input: 1, output: 1, cached: 1 }]) {
    assert.equal(price.safeParse(wrong).success, false);
  }
});

test('money is a whole number of nano-dollars, never less for more tokens, and never more for cached ones', () => {
  const count = fc.nat(10_000_000);
  const amount = fc.double({ min: 0, max: 100, noNaN: true });
  const prices = fc.record({ input: amount, share: fc.double({ min: 0, max: 1, noNaN: true }), output: amount });
  fc.assert(
    fc.property(count, count, count, count, prices, (input, cached, output, more, { share, ...at }) => {
      const own = { ...at, cached_input: at.input * share };
      const money = nanoUsd(tokens(input, cached, output), own);
      assert.ok(Number.isSafeInteger(money) && money >= 0);
      assert.ok(nanoUsd(tokens(input, cached, output + more), own) >= money);
      assert.ok(nanoUsd(tokens(input, cached + more, output), own) <= money);
    }),
  );
});
