/** Terms smaller than this share of their sum change no double. */
const NEGLIGIBLE = 1e-18;

/** ln n! − ((n + ½) ln n − n + ½ ln 2π) for n < 16; below this many the series is not exact. */
const EXACT = 16;
const STIRLING = Array.from({ length: EXACT }, (_, n) => {
  if (n === 0) return 0;
  let factorial = 1;
  for (let factor = 2; factor <= n; factor += 1) factorial *= factor;
  return Math.log(factorial) - ((n + 0.5) * Math.log(n) - n + Math.log(2 * Math.PI) / 2);
});

/** The error of Stirling's formula for ln n!, by its series (Abramowitz and Stegun 6.1.41). */
function stirlingError(n: number): number {
  if (n < EXACT) return STIRLING[n] ?? 0;
  const square = 1 / (n * n);
  return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)))) / n;
}

/** x ln(x / mean) + mean − x, exact where x is close to the mean, too, and the terms cancel. */
function deviance(x: number, mean: number): number {
  const ratio = (x - mean) / (x + mean);
  if (Math.abs(ratio) >= 0.1) return x * Math.log(x / mean) + mean - x;
  let sum = (x - mean) * ratio;
  let power = 2 * x * ratio;
  for (let odd = 3; ; odd += 2) {
    power *= ratio * ratio;
    const next = sum + power / odd;
    if (next === sum) return sum;
    sum = next;
  }
}

/**
 * P(X = k) for X ~ Bin(n, p), by the saddle-point expansion of C. Loader, "Fast and accurate computation of binomial
 * probabilities" (2000): the large logarithms cancel before they are taken, so that n may be in the millions.
 */
export function binomialMass(k: number, n: number, p: number): number {
  if (k < 0 || k > n) return 0;
  if (p <= 0) return k === 0 ? 1 : 0;
  if (p >= 1) return k === n ? 1 : 0;
  if (k === 0) return Math.exp(n * Math.log1p(-p));
  if (k === n) return Math.exp(n * Math.log(p));
  const logarithm =
    stirlingError(n) - stirlingError(k) - stirlingError(n - k) - deviance(k, n * p) - deviance(n - k, n * (1 - p));
  return Math.exp(logarithm) * Math.sqrt(n / (2 * Math.PI * k * (n - k)));
}

/**
 * P(X = k), X the marked ones among n that are drawn without replacement from `size`, of which `marked` are marked. As a
 * quotient of binomial masses of one p, which cancels (Loader 2000, and R's dhyper).
 */
function hypergeometricMass(k: number, { size, marked, n }: Draw): number {
  if (k < 0 || k > marked || n - k < 0 || n - k > size - marked) return 0;
  if (n === 0 || n === size) return 1;
  const p = n / size;
  return (binomialMass(k, marked, p) * binomialMass(n - k, size - marked, p)) / binomialMass(n, size, p);
}

/** The sum of masses from `first` on, towards one side, by the quotient of neighbours. */
function sumFrom(first: number, mass: number, quotient: (at: number) => number, step: 1 | -1): number {
  let [sum, term] = [0, mass];
  for (let at = first; term > NEGLIGIBLE * sum; at += step) {
    sum += term;
    term *= quotient(at);
  }
  return sum;
}

/** A draw without replacement: `n` of `size`, of which `marked` are marked. Whole numbers, both at most `size`. */
export type Draw = { readonly size: number; readonly marked: number; readonly n: number };

/** P(X ≤ k) for X ~ Bin(n, p); n whole, p in 0 … 1. */
export function binomialTail(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  if (k >= n || p <= 0) return 1;
  if (p >= 1) return 0;
  const odds = p / (1 - p);
  if (k <= n * p)
    return Math.min(
      1,
      sumFrom(k, binomialMass(k, n, p), (at) => at / ((n - at + 1) * odds), -1),
    );
  return 1 - sumFrom(k + 1, binomialMass(k + 1, n, p), (at) => ((n - at) * odds) / (at + 1), 1);
}

/** P(X ≤ k) for the marked ones X of a draw without replacement. */
export function hypergeometricTail(k: number, draw: Draw): number {
  const { size, marked, n } = draw;
  if (k < Math.max(0, n - (size - marked))) return 0;
  if (k >= Math.min(n, marked)) return 1;
  const unmarked = size - marked;
  if (k <= (n * marked) / size) {
    const quotient = (at: number): number => (at * (unmarked - n + at)) / ((marked - at + 1) * (n - at + 1));
    return Math.min(1, sumFrom(k, hypergeometricMass(k, draw), quotient, -1));
  }
  const quotient = (at: number): number => ((marked - at) * (n - at)) / ((at + 1) * (unmarked - n + at + 1));
  return 1 - sumFrom(k + 1, hypergeometricMass(k + 1, draw), quotient, 1);
}
