import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { binomialTail, hypergeometricTail } from './tail.ts';

/** C(n, k), exact. */
function choose(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  let result = 1n;
  for (let at = 1; at <= k; at += 1) result = (result * BigInt(n - at + 1)) / BigInt(at);
  return result;
}

/** A quotient of two large integers as a double, to 17 digits, however small it is. */
function quotient(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const digits = denominator.toString().length - numerator.toString().length + 20;
  const scaled = (numerator * 10n ** BigInt(Math.max(0, digits))) / denominator;
  return Number(`${scaled}e-${Math.max(0, digits)}`);
}

const close = (found: number, wanted: number): void =>
  assert.ok(Math.abs(found - wanted) <= 1e-11 * wanted, `${found} for ${wanted}`);

const range = (to: number): number[] => Array.from({ length: Math.max(0, to + 1) }, (_, at) => at);

test('the hypergeometric tail is the exact one, by whole numbers', () => {
  const draw = fc
    .integer({ min: 1, max: 300 })
    .chain((size) => fc.record({ size: fc.constant(size), marked: fc.nat(size), n: fc.nat(size), k: fc.nat(size) }));
  fc.assert(
    fc.property(draw, ({ size, marked, n, k }) => {
      const ways = range(k).reduce((sum, at) => sum + choose(marked, at) * choose(size - marked, n - at), 0n);
      close(hypergeometricTail(k, { size, marked, n }), quotient(ways, choose(size, n)));
    }),
  );
});

test('the binomial tail is the exact one, by whole numbers', () => {
  const drawn = fc.record({ n: fc.integer({ min: 1, max: 200 }), percent: fc.integer({ min: 0, max: 100 }) });
  fc.assert(
    fc.property(drawn, fc.nat(200), ({ n, percent }, k) => {
      const [p, q] = [BigInt(percent), BigInt(100 - percent)];
      const ways = range(Math.min(k, n)).reduce(
        (sum, at) => sum + choose(n, at) * p ** BigInt(at) * q ** BigInt(n - at),
        0n,
      );
      close(binomialTail(k, n, percent / 100), quotient(ways, 100n ** BigInt(n)));
    }),
  );
});

test('tails of large populations keep their digits', () => {
  const exact = (draw: { size: number; marked: number; n: number }, k: number): number =>
    quotient(
      range(k).reduce((sum, at) => sum + choose(draw.marked, at) * choose(draw.size - draw.marked, draw.n - at), 0n),
      choose(draw.size, draw.n),
    );
  const million = { size: 1_000_000, marked: 50_018, n: 500 };
  close(hypergeometricTail(17, million), exact(million, 17));
  const batch = { size: 9_500, marked: 493, n: 483 };
  close(hypergeometricTail(17, batch), exact(batch, 17));
});

test('tails rise with what is allowed, and fall with what is marked and with what is drawn', () => {
  const draw = fc
    .integer({ min: 2, max: 5_000 })
    .chain((size) =>
      fc.record({ size: fc.constant(size), marked: fc.nat(size - 1), n: fc.nat(size - 1), k: fc.nat(size) }),
    );
  fc.assert(
    fc.property(draw, ({ size, marked, n, k }) => {
      const tail = hypergeometricTail(k, { size, marked, n });
      assert.ok(tail >= 0 && tail <= 1, String(tail));
      assert.ok(hypergeometricTail(k + 1, { size, marked, n }) >= tail - 1e-12);
      assert.ok(hypergeometricTail(k, { size, marked: marked + 1, n }) <= tail + 1e-12);
      assert.ok(hypergeometricTail(k, { size, marked, n: n + 1 }) <= tail + 1e-12);
    }),
  );
});

test('what cannot happen has no probability, and what must happen has all', () => {
  assert.equal(binomialTail(-1, 10, 0.5), 0);
  assert.equal(binomialTail(10, 10, 0.5), 1);
  assert.equal(binomialTail(3, 10, 0), 1);
  assert.equal(binomialTail(3, 10, 1), 0);
  assert.equal(hypergeometricTail(2, { size: 10, marked: 9, n: 4 }), 0, 'at least three of four are marked');
  assert.equal(hypergeometricTail(3, { size: 10, marked: 3, n: 4 }), 1);
  assert.equal(hypergeometricTail(0, { size: 10, marked: 3, n: 0 }), 1);
  close(binomialTail(0, 59, 0.05), 0.95 ** 59);
});
