import { DOCUMENT_SPREAD } from '../progress/money.ts';
import { Z, type Expected } from '../progress/time-left.ts';

/** What was counted of a document that was drawn, and what is known of it and of all others: two sizes. */
export type Counted = {
  /** How many documents it stands for. */
  readonly weight: number;
  readonly sizes: Sizes;
  readonly value: number;
};

/** Such as a price for each document, and that times its characters. */
export type Sizes = readonly [number, number];

/** What is counted, by the sizes of documents, and the sum over all. */
export type Fit = { readonly of: (sizes: Sizes) => number; readonly total: Expected };

/** Fewer answers say hardly anything of how much they differ: then it is guessed, as it is of a batch in work. */
const MIN_COUNTED = 5;

/**
 * What documents take, by their two sizes, from those that were counted; null: none was. Least squares weighted by what
 * each stands for, over its size: so the sum of what is left over is 0, and the range of the sum over all is made of how
 * much that varies (a regression estimator; Särndal, Swensson and Wretman 1992, 6.4). Nothing is taken off for a large
 * part of the documents being drawn: a model may answer otherwise the next time.
 */
export function fitOf(counted: readonly Counted[], totals: Sizes): Fit | null {
  const sum = counted.reduce((all, { weight, value }) => all + weight * value, 0);
  if (counted.length === 0) return null;
  const joined = ([first, second]: Sizes): number => part(first, totals[0]) + part(second, totals[1]);
  const ratio = sum / counted.reduce((all, { weight, sizes }) => all + weight * joined(sizes), 0);
  const ofJoined = (sizes: Sizes): number => (Number.isFinite(ratio) ? ratio * joined(sizes) : 0);
  const line = counted.length < MIN_COUNTED ? null : lineOf(counted, joined);
  const isLine = line !== null && counted.every(({ sizes }) => line(sizes) > 0);
  const of = isLine ? line : ofJoined;
  return { of, total: rangeOf(counted, of, { total: of(totals), free: counted.length - (isLine ? 2 : 1) }) };
}

const part = (size: number, total: number): number => (total > 0 ? size / total : 0);

/** The least squares for both sizes; null: they cannot be told apart, as where all documents are of one size. */
function lineOf(counted: readonly Counted[], joined: (sizes: Sizes) => number): ((sizes: Sizes) => number) | null {
  let [aa, ab, bb, ay, by] = [0, 0, 0, 0, 0];
  for (const { weight, sizes, value } of counted) {
    const [a, b] = sizes;
    const each = weight / Math.max(Number.MIN_VALUE, joined(sizes));
    aa += each * a * a;
    ab += each * a * b;
    bb += each * b * b;
    ay += each * a * value;
    by += each * b * value;
  }
  const determinant = aa * bb - ab * ab;
  if (!(determinant > 1e-9 * aa * bb)) return null;
  const first = (bb * ay - ab * by) / determinant;
  const second = (aa * by - ab * ay) / determinant;
  return ([a, b]) => first * a + second * b;
}

function rangeOf(
  counted: readonly Counted[],
  of: (sizes: Sizes) => number,
  { total, free }: { readonly total: number; readonly free: number },
): Expected {
  const likely = Math.max(0, total);
  const seen = counted.reduce((sum, { weight, sizes }) => sum + weight * of(sizes), 0);
  if (!(seen > 0)) return { low: 0, likely, high: likely };
  const { length } = counted;
  if (length < MIN_COUNTED) {
    const deviation = (Z * DOCUMENT_SPREAD) / Math.sqrt(length + 1);
    return { low: likely * Math.max(0, 1 - deviation), likely, high: likely * (1 + deviation) };
  }
  const left = counted.map(
    ({ weight, sizes, value }) => (length * Math.sqrt(weight * (weight + 1)) * (value - of(sizes))) / seen,
  );
  const mean = left.reduce((sum, one) => sum + one, 0) / length;
  const spread = Math.sqrt(left.reduce((sum, one) => sum + (one - mean) ** 2, 0) / free);
  if (!(spread > 0)) return { low: likely, likely, high: likely };
  const skew = left.reduce((sum, one) => sum + ((one - mean) / spread) ** 3, 0) / length;
  const deviation = (t: number): number => (unskewed(t, skew, length) * spread) / Math.sqrt(length);
  const t = studentQuantile(free);
  return { low: likely * Math.max(0, 1 - deviation(t)), likely, high: likely * (1 - deviation(-t)) };
}

/**
 * The quantile of a studentized mean of `n` values of a skewed distribution, from that of a symmetric one (Hall 1992): the
 * range reaches further up where a few values are much larger than the others.
 */
function unskewed(t: number, skew: number, n: number): number {
  if (Math.abs(skew) < 1e-6) return t;
  const each = skew / Math.sqrt(n);
  return (3 / each) * (Math.cbrt(1 + each * (t - each / 6)) - 1);
}

/** Of 95 % of Student's distribution with at least three degrees of freedom, by its expansion (Abramowitz and Stegun 26.7.5). */
function studentQuantile(free: number): number {
  const square = Z * Z;
  const first = (Z * (square + 1)) / 4;
  const second = (Z * (5 * square ** 2 + 16 * square + 3)) / 96;
  const third = (Z * (3 * square ** 3 + 19 * square ** 2 + 17 * square - 15)) / 384;
  return Z + first / free + second / free ** 2 + third / free ** 3;
}
