import { allowedDisagreements, checkTerms, type SampledAnswers, type Terms } from './allowed.ts';

/** No batch has so many documents; doubles count one by one up to far more. */
const MOST_SAMPLED = 2 ** 30;

/** The least sample that certifies something if it shows no disagreement; null: not even the whole batch would. */
export function leastSample(terms: Terms, answers: SampledAnswers = 'right'): number | null {
  checkTerms(terms, 0);
  const isEnough = (n: number): boolean => allowedDisagreements(terms, n, answers) >= 0;
  let most = terms.populationSize ?? 1;
  if (terms.populationSize === null) {
    if (terms.target === 1) return null;
    while (most < MOST_SAMPLED && !isEnough(most)) most *= 2;
  }
  if (!isEnough(most)) return null;
  let least = -1;
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (isEnough(middle)) most = middle;
    else least = middle;
  }
  return most;
}

/** What is guessed of a batch before anything of it is known: a wrong guess costs money, and no promise. */
type Guess = {
  /** The share of the drafts that will be accepted: only those cost by being sampled, the others go to the expert anyway. */
  readonly acceptedShare: number;
};

/**
 * The share of wrong drafts at a threshold is about five times that of all documents, up to a half: on the eight pairs of
 * docs/confidence.md four to six times at a target of .90, five to eight at .95, five to eleven at .98.
 */
const marginalShare = (target: number): number => Math.min(0.5, Math.max(5 * (1 - target), 1e-3));

/** How far the expected disagreement K + 1 is beyond K in the median: that of a gamma law, k + ⅔. */
const MEDIAN = 2 / 3;

export type SamplePlan =
  /** How many documents to draw, and how many disagreements they may show. */
  | { readonly kind: 'planned'; readonly n: number; readonly allowed: number }
  /** The promise needs a larger sample than `most`; null: it cannot be made at all. */
  | { readonly kind: 'too_few'; readonly needed: number | null };

/**
 * How many documents of a batch to sample, at most `most`. K is a whole number that steps up with n: between two steps a
 * larger sample costs more and allows no more, so only steps are looked at (483 of 9,500 allow 17 at 95 % and δ = .05, as
 * 500 do, and the expert gets 5.8 to 9.3 points more than the optimum in place of 6.3 to 10.0 on eight pairs). Of
 * these that one is taken which is expected to be the cheapest. A sample of n pays n/N of those that would have been
 * accepted, and gives up what it cannot prove: of m wrong answers that are allowed it leaves about
 * m − (K + ⅔)(1 − n/N)/(n/N) unused, each of which could have kept 1/`marginalShare` drafts from the expert.
 */
export function planSample(
  terms: Terms & { readonly populationSize: number },
  most: number,
  { acceptedShare }: Guess = { acceptedShare: 0.5 },
): SamplePlan {
  const { target, populationSize: size } = terms;
  const needed = leastSample(terms);
  const end = Math.min(most, size);
  if (needed === null || needed > end) return { kind: 'too_few', needed };
  const margin = marginalShare(target);
  let best: { n: number; allowed: number } = { n: needed, allowed: allowedDisagreements(terms, needed) };
  let [least, before] = [Number.POSITIVE_INFINITY, -1];
  for (let n = needed; n <= end; n += 1) {
    const allowed = allowedDisagreements(terms, n);
    if (allowed === before) continue;
    before = allowed;
    const share = n / size;
    // A sampled document that is wrong lets another one be accepted.
    const paid = share * acceptedShare * Math.max(0, 1 - (1 - target) / margin);
    const proved = n === 0 ? size : ((allowed + MEDIAN) * (1 - share)) / share;
    const unused = Math.max(0, (1 - target) * size - proved);
    const cost = paid + unused / (margin * size);
    if (cost < least) [least, best] = [cost, { n, allowed }];
  }
  return { kind: 'planned', ...best };
}
