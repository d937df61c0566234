import { isBounded, type SignalSpec } from '../confidence/index.ts';

/**
 * Whether the drafts of a stage are given up early: where nothing else is `asked` for, wherever that changes no decision
 * and nobody needs the rest. With the problem of a stage that asks for it and cannot have it.
 */
export function stopsEarly(
  asked: boolean | undefined,
  judge: { readonly confidence: { readonly signal: SignalSpec } } | null,
  onDeadline: 'error' | 'draft',
): { readonly early: boolean; readonly problem: string | null } {
  const obstacle = obstacleOf(judge?.confidence.signal ?? null, onDeadline);
  return { early: asked !== false && obstacle === null, problem: asked === true ? obstacle : null };
}

function obstacleOf(signal: SignalSpec | null, onDeadline: 'error' | 'draft'): string | null {
  if (signal === null) return 'no such key in the last stage, whose answer is final';
  if (!isBounded(signal)) return `expected false: what ${signal.name} says of a draft only its end shows`;
  return onDeadline === 'draft' ? 'expected false: with `on_deadline: draft` a draft is needed whole' : null;
}
