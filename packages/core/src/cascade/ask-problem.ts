import { SIGNALS, type SignalName, type SignalSpec } from '../confidence/index.ts';
import { DEFAULT_ASK, type AskKind } from './ask.ts';

/** A stage as far as it says how its model is asked. */
export type AskingStage = {
  readonly ask: AskKind;
  /** Whether it says how drafts are verified. */
  readonly hasVerify: boolean;
  /** Whether it says from when on a draft is final. */
  readonly hasVerdict: boolean;
  /** Whether values of its drafts have thresholds of their own. */
  readonly hasFields: boolean;
  /** Null: it is the last one, whose answer is final. */
  readonly signal: SignalSpec | null;
  /** Of the stage before; null: there is none. */
  readonly signalBefore: SignalSpec | null;
};

/** A stage that says nothing of it. */
export const NO_ASKING: AskingStage = {
  ask: DEFAULT_ASK,
  hasVerify: false,
  hasVerdict: false,
  hasFields: false,
  signal: null,
  signalBefore: null,
};

/** What is wrong with how a stage asks, by the key that says it; null: nothing. `at` is its place, from 0. */
export function askProblem(
  { ask, hasVerify, hasVerdict, hasFields, signal, signalBefore }: AskingStage,
  at: number,
): { readonly key: 'ask' | 'verify' | 'verdict' | 'fields' | 'confidence'; readonly message: string } | null {
  if (hasVerify && ask !== 'verify') return { key: 'verify', message: 'no such key without `ask: verify`' };
  if (hasVerdict && ask !== 'verdict') return { key: 'verdict', message: 'no such key without `ask: verdict`' };
  if (hasFields && signal !== null && !scoresValues(signal)) {
    const message = `no such key with the signal ${signal.name}, ${NOT_EACH}: expected one of ${namesOf(scoresValues)}`;
    return { key: 'fields', message };
  }
  if (ask === 'answer') return null;
  if (at === 0) return { key: 'ask', message: 'expected answer: no stage before the first one has a draft' };
  if (ask === 'verdict') return verdictProblem(hasVerdict, signal);
  if (ask === 'fields') return fieldsProblem(signal, signalBefore);
  if (signal === null || isOfChosenTokens(signal)) return null;
  const message = `expected one of ${namesOf(isOfChosenTokens)}: of what a stage verifies only the log-probs of its own tokens are known`;
  return { key: 'confidence', message };
}

/** Values are asked for and judged one by one: both stages must score each. */
function fieldsProblem(signal: SignalSpec | null, signalBefore: SignalSpec | null): ReturnType<typeof askProblem> {
  if (signal !== null && !scoresValues(signal)) {
    const message = `expected one of ${namesOf(scoresValues)}: with \`ask: fields\` each value is judged by itself`;
    return { key: 'confidence', message };
  }
  if (signalBefore === null || scoresValues(signalBefore)) return null;
  const message = `expected answer or verify: the stage before has the signal ${signalBefore.name}, ${NOT_EACH}`;
  return { key: 'ask', message };
}

function verdictProblem(hasVerdict: boolean, signal: SignalSpec | null): ReturnType<typeof askProblem> {
  if (signal !== null) {
    return { key: 'ask', message: 'expected answer or verify: only the last stage says whether a draft is right' };
  }
  if (hasVerdict) return null;
  return { key: 'verdict', message: 'expected accept_at, from which confidence on the draft is final' };
}

const NOT_EACH = 'which does not score each value';

type Named = { readonly name: SignalName };

const namesOf = (is: (signal: Named) => boolean): string =>
  (Object.keys(SIGNALS) as SignalName[]).filter((name) => is({ name })).join(', ');

const scoresValues = ({ name }: Named): boolean => SIGNALS[name].scoresValues;

/** Whether a signal looks at nothing but the log-probs of the tokens that an answer has. */
const isOfChosenTokens = ({ name }: Named): boolean =>
  SIGNALS[name].topLogprobs === 0 && SIGNALS[name].needs === 'nothing';
