import { z } from 'zod';

/** What is done with a batch of which nothing can be promised: all of it goes to the expert, or the best guess is taken. */
export const OTHERWISE = ['expert', 'best_effort'] as const;

/** Nearer to 0 it says nothing, and nearer to 1 no batch has enough documents to show it. */
const MIN_SHARE = 1e-6;
const MAX_SHARE = 1 - 1e-6;

const share = (name: string) => z.number(between(name)).min(MIN_SHARE, between(name)).max(MAX_SHARE, between(name));
const between = (name: string): string => `${name}: expected a number from 0.000001 to 0.999999, such as 0.95 for 95 %`;

export const DEFAULT_CERTAINTY = 0.95;

/**
 * A promise: with this certainty at least this share of a batch's final answers says what the expert would have said.
 */
export const promiseAim = z.strictObject({
  agreement: share('agreement'),
  certainty: share('certainty').default(DEFAULT_CERTAINTY),
  otherwise: z.enum(OTHERWISE, `otherwise: expected one of ${OTHERWISE.join(', ')}`).default('expert'),
});

/** The same of answers that are as their labels say. The labels come with a batch. */
const accuracyAim = z.strictObject({
  accuracy: share('accuracy'),
  certainty: share('certainty').default(DEFAULT_CERTAINTY),
  otherwise: z.enum(OTHERWISE, `otherwise: expected one of ${OTHERWISE.join(', ')}`).default('expert'),
});

/** A budget: about this share of a batch's documents goes to the expert, and nothing is promised of the answers. */
export const budgetAim = z.strictObject({ expert_share: share('expert_share') });

/** What is certified of a batch's answers: that this share of them is right, with this certainty. */
export const promisedTerms = z.strictObject({
  agreement: z.number().optional(),
  accuracy: z.number().optional(),
  certainty: z.number(),
});
export type PromisedTerms = z.output<typeof promisedTerms>;

/** What the thresholds of a batch are to be found for, by a sample of its own documents. */
export const aimRecord = z.discriminatedUnion('kind', [
  promiseAim.extend({ kind: z.literal('promise') }),
  accuracyAim.extend({ kind: z.literal('accuracy') }),
  budgetAim.extend({ kind: z.literal('budget') }),
]);

export type Aim = z.output<typeof aimRecord>;
export type PromiseAim = Extract<Aim, { kind: 'promise' }>;
export type AccuracyAim = Extract<Aim, { kind: 'accuracy' }>;
export type BudgetAim = Extract<Aim, { kind: 'budget' }>;
