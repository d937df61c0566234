import { SIGNALS, type SignalSpec } from '../confidence/index.ts';
import type { AskKind } from './ask.ts';

/** A stage as far as it says how its model is asked. */
export type AskingStage = {
  readonly ask: AskKind;
  /** Whether it says how drafts are verified. */
  readonly hasVerify: boolean;
  /** Whether it says from when on a draft is final. */
  readonly hasVerdict: boolean;
  /** Null: it is the last one, whose answer is final. */
  readonly signal: SignalSpec | null;
};

/** What is wrong with how a stage asks, by the key that says it; null: nothing. `at` is its place, from 0. */
export function askProblem(
  { ask, hasVerify, hasVerdict, signal }: AskingStage,
  at: number,
): { readonly key: 'ask' | 'verify' | 'verdict' | 'confidence'; readonly message: string } | null {
  if (hasVerify && ask !== 'verify') return { key: 'verify', message: 'no such key without `ask: verify`' };
  if (hasVerdict && ask !== 'verdict') return { key: 'verdict', message: 'no such key without `ask: verdict`' };
  if (ask === 'answer') return null;
  if (at === 0) return { key: 'ask', message: 'expected answer: no stage before the first one has a draft' };
  if (ask === 'verdict') return verdictProblem(hasVerdict, signal);
  if (signal === null) return null;
  if (ask === 'fields')
    return { key: 'ask', message: 'expected answer or verify: only the last stage asks for fields' };
  if (isOfChosenTokens(signal)) return null;
  const names = Object.entries(SIGNALS).flatMap(([name, { topLogprobs, needs }]) =>
    topLogprobs === 0 && needs === 'nothing' ? [name] : [],
  );
  const message = `expected one of ${names.join(', ')}: of what a stage verifies only the log-probs of its own tokens are known`;
  return { key: 'confidence', message };
}

function verdictProblem(hasVerdict: boolean, signal: SignalSpec | null): ReturnType<typeof askProblem> {
  if (signal !== null) {
    return { key: 'ask', message: 'expected answer or verify: only the last stage says whether a draft is right' };
  }
  if (hasVerdict) return null;
  return { key: 'verdict', message: 'expected accept_at, from which confidence on the draft is final' };
}

/** Whether a signal looks at nothing but the log-probs of the tokens that an answer has. */
const isOfChosenTokens = ({ name }: SignalSpec): boolean =>
  SIGNALS[name].topLogprobs === 0 && SIGNALS[name].needs === 'nothing';
