import type { PricedTokens } from '@spillway/core';
import { isCorrect, type Truth } from '../documents/index.ts';
import type { Outcome, SequentialWait } from './results.ts';
import { addTokens, NO_TOKENS } from './tokens.ts';

/** What the result lines of a batch say together. Times in milliseconds. */
export type Tally = {
  readonly documents: number;
  /** Documents with a line in the error file. */
  readonly failed: number;
  readonly accepted: number;
  readonly escalated: number;
  /** How many documents were escalated for which reason. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Documents of which the expert was asked for some values only, what that took, and what their drafts did. */
  readonly valued: {
    readonly documents: number;
    readonly values: number;
    readonly taken: PricedTokens;
    readonly drafts: PricedTokens;
  };
  /** How long the documents took: those whose draft was accepted, and the escalated ones. */
  readonly fastMs: readonly number[];
  readonly slowMs: readonly number[];
  readonly waits: readonly SequentialWait[];
  readonly drafter: PricedTokens;
  readonly expert: PricedTokens;
  /** Answers that agree with the truth; null where no truth is known. */
  readonly correct: number | null;
};

/** Adds up result lines; `failed` says of each whether it is one of the error file. */
export async function tally(
  outcomes: AsyncIterable<{ readonly outcome: Outcome; readonly failed: boolean }>,
  truths: ReadonlyMap<string, Truth> | null,
): Promise<Tally> {
  const counts = { documents: 0, failed: 0, accepted: 0, escalated: 0, correct: 0 };
  const reasons = new Map<string, number>();
  let valued: Tally['valued'] = { documents: 0, values: 0, taken: NO_TOKENS, drafts: NO_TOKENS };
  const fastMs: number[] = [];
  const slowMs: number[] = [];
  const waits: SequentialWait[] = [];
  let drafter = NO_TOKENS;
  let expert = NO_TOKENS;
  for await (const { outcome, failed } of outcomes) {
    counts.documents += 1;
    drafter = addTokens(drafter, outcome.drafter);
    expert = addTokens(expert, outcome.expert);
    if (outcome.askedFields !== null) {
      valued = {
        documents: valued.documents + 1,
        values: valued.values + outcome.askedFields,
        taken: addTokens(valued.taken, outcome.expert),
        drafts: addTokens(valued.drafts, outcome.drafter),
      };
    }
    if (outcome.escalated) {
      const reason = outcome.reason ?? 'unknown';
      counts.escalated += 1;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    } else if (!failed) {
      counts.accepted += 1;
    }
    if (failed) {
      counts.failed += 1;
      continue;
    }
    (outcome.escalated ? slowMs : fastMs).push(outcome.totalMs);
    if (outcome.wait !== null) waits.push(outcome.wait);
    const truth = truths?.get(outcome.customId);
    if (truth !== undefined && outcome.answer !== null && isCorrect(outcome.answer, truth)) counts.correct += 1;
  }
  return {
    ...counts,
    correct: truths === null ? null : counts.correct,
    reasons,
    valued,
    fastMs,
    slowMs,
    waits,
    drafter,
    expert,
  };
}
