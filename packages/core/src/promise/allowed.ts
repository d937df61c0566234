import { binomialTail, hypergeometricTail } from './tail.ts';

/** What is promised, of how many documents. */
export type Terms = {
  /** The share of the documents whose final answers are to be right, 0 to 1. */
  readonly target: number;
  /** The probability that the promise may be broken with, 0 to 1, both exclusive. */
  readonly delta: number;
  /** How many documents the batch has; null: what comes later, without an end, of which the sample is a fair part. */
  readonly populationSize: number | null;
};

/**
 * Whether the answers of the sampled documents are right whatever is decided: `right` where agreement with the expert is
 * promised, as the expert answered them; `as_others` where they may be as wrong as any.
 */
export type SampledAnswers = 'right' | 'as_others';

export function checkTerms({ target, delta, populationSize }: Terms, n: number): void {
  if (!(target >= 0 && target <= 1)) throw new RangeError(`target: expected 0 to 1, got ${target}`);
  if (!(delta > 0 && delta < 1)) throw new RangeError(`delta: expected more than 0 and less than 1, got ${delta}`);
  if (!Number.isInteger(n) || n < 0) throw new RangeError(`n: expected a whole number of at least 0, got ${n}`);
  if (populationSize === null) return;
  if (!Number.isInteger(populationSize) || populationSize < n) {
    throw new RangeError(
      `populationSize: expected a whole number of at least the sample's ${n}, got ${populationSize}`,
    );
  }
}

/** How many documents may be wrong: 0.9 of 9,500 is 8,550, though 1 − 0.9 is less than 0.1. */
const mayBeWrong = (target: number, size: number): number => Math.floor((1 - target) * size + 1e-9 * Math.max(1, size));

/**
 * The largest probability, over everything that a population may be, that a prefix of its order has more than `wrong`
 * wrong answers though at most `k` of the n sampled documents are found wrong in it; see `allowedDisagreements`.
 */
function riskOf(
  k: number,
  n: number,
  { size, wrong }: { size: number; wrong: number },
  answers: SampledAnswers,
): number {
  const marked = answers === 'right' ? wrong + 1 + k : wrong + 1;
  // So many cannot be wrong: with `right` those not sampled are the only ones that may be.
  if (answers === 'right' ? wrong >= size - n : wrong >= size) return 0;
  return hypergeometricTail(k, { size, marked: Math.min(size, marked), n });
}

/**
 * How many disagreements a sample of n may show above the threshold, whatever threshold that is: K; −1 where even none
 * is too many.
 *
 * Let m of N documents be allowed to be wrong. Put the documents in the order of their scores, best first; a threshold
 * accepts a prefix. Let D be the drafts of a prefix that disagree with the expert, X those of them that are sampled: both
 * grow with the prefix. The sampled documents get the expert's answers, so D − X answers of the prefix are wrong. With
 * K = max{k: P(H(N, m + 1 + k, n) ≤ k) ≤ δ}, where H(N, M, n) counts the marked ones of a draw of n of N with M marked:
 *
 *   P(there is a prefix with X ≤ K and D − X ≥ m + 1) ≤ δ.
 *
 * Proof. Which documents disagree is fixed, only the sample is drawn. Mark all disagreements, and where there are fewer
 * than m + 1 + K of them as many agreeing documents as are missing. Let Q be the prefix that ends with the mark number
 * m + 1 + K (everything, where marks were added) and Y how many of its marks are sampled; Q does not depend on the sample.
 * Let a prefix P have X ≤ K and D − X ≥ m + 1. If D ≥ m + 1 + K, no marks were added and P contains Q, so Y ≤ X ≤ K.
 * Otherwise Q has besides the D disagreements of P only m + 1 + K − D marks, so Y ≤ X + m + 1 + K − D ≤ K again, as
 * X ≤ D − m − 1. Either way Y ≤ K, which has the probability P(H(N, m + 1 + K, n) ≤ K) ≤ δ. ∎
 *
 * So one K holds for all thresholds at once, and a threshold may be chosen by the sample itself, as long as it takes whole
 * ties: no union bound, since all failures lie in one event at one prefix that was fixed beforehand. The probability grows
 * with k (one more marked document is drawn or not: from X ≤ k follows X' ≤ k + 1), so the first k that is too many ends
 * the search. Where the sampled documents are as wrong as others (`as_others`) nothing is taken off: Q ends with the
 * disagreement m + 1, K = max{k: P(H(N, m + 1, n) ≤ k) ≤ δ}. With documents to come (no N) the rate of a prefix takes the
 * place of D: K = max{k: P(Bin(n, 1 − target) ≤ k) ≤ δ}, at the shortest prefix whose rate is above 1 − target.
 */
export function allowedDisagreements(terms: Terms, n: number, answers: SampledAnswers = 'right'): number {
  checkTerms(terms, n);
  const { target, delta, populationSize: size } = terms;
  const isAllowed = (k: number): boolean =>
    size === null
      ? target === 0 || binomialTail(k, n, 1 - target) <= delta
      : riskOf(k, n, { size, wrong: mayBeWrong(target, size) }, answers) <= delta;
  let [allowed, refused] = [-1, n + 1];
  while (refused - allowed > 1) {
    const middle = Math.floor((allowed + refused) / 2);
    if (isAllowed(middle)) allowed = middle;
    else refused = middle;
  }
  return allowed;
}

/**
 * The share of wrong answers that holds with 1 − δ for the longest prefix with at most K disagreements in the sample: at
 * most 1 − target, and often a little less, as K is a whole number. By the proof above, for fewer wrong ones than m.
 */
export function boundOf(terms: Terms, n: number, allowed: number, answers: SampledAnswers = 'right'): number {
  const { target, delta, populationSize: size } = terms;
  if (size === null) {
    let [low, high] = [0, 1 - target];
    for (let halving = 0; halving < 60; halving += 1) {
      const middle = (low + high) / 2;
      if (binomialTail(allowed, n, middle) <= delta) high = middle;
      else low = middle;
    }
    return high;
  }
  let [refused, holds] = [-1, mayBeWrong(target, size)];
  while (holds - refused > 1) {
    const wrong = Math.floor((holds + refused) / 2);
    if (riskOf(allowed, n, { size, wrong }, answers) <= delta) holds = wrong;
    else refused = wrong;
  }
  return size === 0 ? 0 : holds / size;
}
