import type { Terms } from './allowed.ts';
import type { AccuracyAim, Aim, PromiseAim } from './aim.ts';
import { leastSample, planSample } from './sample-plan.ts';

/** Documents that a promise is given by, at most: more of them cost more than they prove (see `planSample`). */
export const MAX_PROMISE_SAMPLE = 500;

/** Documents that a budget's quantile is taken from: it is right to 2.7 points with 95 % at a share of a quarter. */
const BUDGET_SAMPLE = 1_000;

/** How many documents of a batch its thresholds are found by, at most. */
export const mostSampled = (aim: Aim): number => (aim.kind === 'budget' ? BUDGET_SAMPLE : MAX_PROMISE_SAMPLE);

/**
 * What each of several judging stages has to keep so that all of them together keep a promise: its part of the answers
 * that may disagree, and of the probability that the promise is broken (Bonferroni). What a stage accepts is counted as
 * if it accepted whatever the stages before it do not: so its count does not depend on their thresholds.
 */
export function termsOf(aim: PromiseAim | AccuracyAim, judging: number, populationSize: number): Terms {
  const target = aim.kind === 'promise' ? aim.agreement : aim.accuracy;
  return {
    target: 1 - (1 - target) / judging,
    delta: (1 - aim.certainty) / judging,
    // Labelled documents are taken for a fair part of all: whoever labelled them chose them, and not this batch.
    populationSize: aim.kind === 'promise' ? populationSize : null,
  };
}

export type AimPlan =
  | { readonly kind: 'sampled'; readonly n: number }
  /** Nothing can be found out by a sample of a batch of this size; `needed`: documents that it would take. */
  | { readonly kind: 'too_few'; readonly needed: number | null };

/**
 * Sampled documents are answered by every stage: where they would be more than this share of a batch, what the others
 * could spare hardly pays for their drafts.
 */
const MOST_OF_BATCH = 0.75;

/** How many documents to draw of so many (of an accuracy: that have labels), which `judging` stages are to judge. */
export function planAim(aim: Aim, judging: number, populationSize: number): AimPlan {
  const n = Math.min(populationSize, mostSampled(aim));
  if (aim.kind === 'budget') return n === 0 ? { kind: 'too_few', needed: 1 } : { kind: 'sampled', n };
  const terms = termsOf(aim, judging, populationSize);
  if (aim.kind === 'accuracy') {
    const needed = leastSample(terms, 'as_others');
    return needed === null || needed > n ? { kind: 'too_few', needed } : { kind: 'sampled', n };
  }
  const plan = planSample({ ...terms, populationSize }, MAX_PROMISE_SAMPLE);
  if (plan.kind === 'too_few') return plan;
  if (plan.n === 0 || plan.n > MOST_OF_BATCH * populationSize) return { kind: 'too_few', needed: plan.n };
  return { kind: 'sampled', n: plan.n };
}
