import { isBounded, type SignalSpec } from '../confidence/index.ts';
import type { AskKind } from './ask.ts';

/** A stage as far as it says whether its drafts can be given up. */
type StoppingStage = {
  readonly judge: { readonly confidence: { readonly signal: SignalSpec } } | null;
  readonly ask: AskKind;
  /** How the stage after it asks; null: there is none. */
  readonly nextAsk: AskKind | null;
};

/**
 * Whether the drafts of a stage are given up early: where nothing else is `asked` for, wherever that changes no decision
 * and nobody makes use of the rest. With the problem of a stage that asks for it and cannot have it.
 *
 * What a draft has of its unsure value is enough to be verified, but the whole of it saves more: of 164 drafts of the
 * embedded pair the expert agreed with 75 to their ends.
 */
export function stopsEarly(
  asked: boolean | undefined,
  stage: StoppingStage,
  onDeadline: 'error' | 'draft',
): { readonly early: boolean; readonly problem: string | null } {
  const obstacle = obstacleOf(stage, onDeadline);
  const isWanted = asked ?? stage.nextAsk === 'answer';
  return { early: isWanted && obstacle === null, problem: asked === true ? obstacle : null };
}

function obstacleOf({ judge, ask, nextAsk }: StoppingStage, onDeadline: 'error' | 'draft'): string | null {
  if (judge === null) return 'no such key in the last stage, whose answer is final';
  if (ask !== 'answer') return `expected false: with \`ask: ${ask}\` an answer does not come piece by piece`;
  const { signal } = judge.confidence;
  if (!isBounded(signal)) return `expected false: what ${signal.name} says of a draft only its end shows`;
  if (nextAsk === 'verdict') return 'expected false: before a stage with `ask: verdict` a draft is needed whole';
  if (nextAsk === 'fields') return 'expected false: the next stage asks for the values that a whole draft is unsure of';
  return onDeadline === 'draft' ? 'expected false: with `on_deadline: draft` a draft is needed whole' : null;
}
