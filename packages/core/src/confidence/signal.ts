import { z } from 'zod';
import type { Completion, TokenLogprob } from '../endpoints/completion.ts';
import type { Head } from './head.ts';
import { noEvidence, valueScore, type ScoredDraft } from './score.ts';

/** What a signal looks at: a draft that may be judged, and what was asked for beside it. */
type DraftView = {
  /** Not blank. */
  readonly text: string;
  readonly tokens: readonly TokenLogprob[];
  /** What the drafter said when it was asked whether its draft is right; null: nothing readable, or it was not asked. */
  readonly assessment: Completion | null;
  /** Further answers to the same request; null: they could not be had, or were not asked for. */
  readonly samples: readonly Completion[] | null;
  /** The learnt head of the calibration; null: the calibration is none. */
  readonly head: Head | null;
};

type SpecSchema = z.ZodObject<{ name: z.ZodLiteral<string> }>;

/** All that a signal is: adding one is adding one of these to the table. */
export type Signal<Schema extends SpecSchema = SpecSchema> = {
  /** Its name and its parameters. */
  readonly spec: Schema;
  readonly meaning: string;
  /** How many alternatives per token the model server must be asked for. */
  readonly topLogprobs: number;
  /** Calls beside the draft's own. */
  readonly needs: 'nothing' | 'assessment' | 'samples';
  /** What the score says about the draft being right as long as there is no calibration; null: nothing. */
  readonly probability: ((score: number) => number) | null;
  /** The higher, the surer. */
  readonly score: (draft: DraftView, spec: z.output<Schema>) => ScoredDraft;
};

/** A signal that is what it is given; the types of its parameters come from its own schema. */
export const signal = <Schema extends SpecSchema>(entry: Signal<Schema>): Signal<Schema> => entry;

/** The schema of a signal without parameters. */
export const plainSpec = <const Name extends string>(name: Name) => z.strictObject({ name: z.literal(name) });

/** Scores by the tokens of an answer; without usable ones there is no evidence. */
export const byTokens =
  <Spec>(score: (draft: DraftView, spec: Spec) => ScoredDraft) =>
  (draft: DraftView, spec: Spec): ScoredDraft => {
    if (draft.tokens.length === 0) return noEvidence('no_logprobs');
    return draft.tokens.every(({ logprob }) => logprob === 0) ? noEvidence('zero_logprobs') : score(draft, spec);
  };

/** Scores by the tokens of an answer, or of each value of a JSON answer; null: a token has no alternatives. */
export const byValues = <Spec>(measure: (tokens: readonly TokenLogprob[], spec: Spec) => number | null) =>
  byTokens<Spec>(({ text, tokens }, spec) => valueScore(text, tokens, (own) => measure(own, spec)));
