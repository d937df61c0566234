import type { OpenAI } from 'openai';
import type { Dice } from './dice.ts';

/** What a batch asks for beside its answers; `audit`: some of its drafts are asked of the last stage, too. */
export const WISHES = ['nothing', 'promise', 'budget', 'audit'] as const;
export type Wish = (typeof WISHES)[number];

const WEIGHTS: Readonly<Record<Wish, number>> = { nothing: 5, promise: 3, budget: 1, audit: 1 };

/** One in so many is decided anew when it has ended. */
const REDECIDED_SHARE = 0.15;

/** What is wanted of a batch. */
export type Wanted = {
  readonly wish: Wish;
  /** Whether it is decided anew by other thresholds when it has ended. */
  readonly isRedecided: boolean;
};

export const wantedOf = (dice: Dice): Wanted => ({
  wish: dice.weighted(WEIGHTS),
  isRedecided: dice.chance(REDECIDED_SHARE),
});

/** The cascade some of whose accepted drafts are asked of the last stage, too. */
const AUDITED = 'audited';

/** Its YAML: the stages are those of the cascade `test`. */
export const AUDITED_YAML = `  ${AUDITED}:
    stages: [{ model: small, accept_at: 0.8 }, { model: medium, accept_at: 0.8 }, { model: large, ask: verify }]
    audit: { share: 0.3, at_most: 0.5, on_alarm: tighten }
`;

/** The cascade of a batch's documents. */
export const cascadeFor = (wish: Wish): string => (wish === 'audit' ? AUDITED : 'test');

/** What the create of a batch says. */
export const METADATA: Readonly<Record<Wish, OpenAI.Metadata>> = {
  nothing: {},
  promise: { 'spillway.promise': 'agreement=0.8,certainty=0.9' },
  budget: { 'spillway.budget': 'expert_share=0.3' },
  audit: {},
};
