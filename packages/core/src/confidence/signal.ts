import { z } from 'zod';
import type { Completion, TokenLogprob } from '../endpoints/completion.ts';
import type { Field } from './fields.ts';
import type { Head } from './head.ts';
import { noEvidence, valueScore, type ScoredDraft } from './score.ts';

/** What a signal looks at: a draft that may be judged, and what was asked for beside it. */
export type DraftView = {
  /** Not blank, and no longer than what is judged. */
  readonly text: string;
  /** The fields of a JSON answer; null: it is none, or they cannot be told. */
  readonly fields: readonly Field[] | null;
  readonly tokens: readonly TokenLogprob[];
  /** There are no tokens, as those that came do not cover the text. */
  readonly isPartial: boolean;
  /** What the drafter said when it was asked whether its draft is right; null: nothing readable, or it was not asked. */
  readonly assessment: Completion | null;
  /** The share of all answers to the request that say what the draft says; null: there are no others. */
  readonly agreement: number | null;
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
  /** Whether each value of a JSON answer has a score of its own. */
  readonly scoresValues: boolean;
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
    if (draft.tokens.length === 0) return noEvidence(draft.isPartial ? 'partial_logprobs' : 'no_logprobs');
    return areUncomputed(draft.tokens) ? noEvidence('zero_logprobs') : score(draft, spec);
  };

/**
 * Whether log-probs were not computed: a certain token is exactly 0 now and then, and shows so by its alternatives, but
 * a server that takes tokens unseen (speculative decoding) says 0 of one after the other and knows no others.
 */
function areUncomputed(tokens: readonly TokenLogprob[]): boolean {
  const isBare = ({ logprob, top }: TokenLogprob): boolean => logprob === 0 && top.length === 0;
  const knowsOthers = ({ token, top }: TokenLogprob): boolean => top.some((one) => one.token !== token);
  if (tokens.every((token) => token.logprob === 0 && !knowsOthers(token))) return true;
  if (tokens.length > 1 && tokens.slice(1).every(isBare)) return true;
  return tokens.some((token, at) => at > 0 && isBare(token) && isBare(tokens[at - 1] ?? token));
}

/** Scores by the tokens of an answer, or of each value of a JSON answer; null: a token has no alternatives. */
export const byValues = <Spec>(measure: (tokens: readonly TokenLogprob[], spec: Spec) => number | null) =>
  byTokens<Spec>(({ fields, tokens }, spec) => valueScore(fields, tokens, (own) => measure(own, spec)));
