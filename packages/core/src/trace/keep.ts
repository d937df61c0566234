import { isEscalated, passageOf, stagesOf, type Ending } from '../document/ending.ts';
import type { CascadeDocument } from '../document/job.ts';

/** Why the trace of a document is kept that was not drawn. */
export type KeptKind = 'failed' | 'slow' | 'escalated';

/**
 * Of the traces that a batch may have, a half is drawn evenly over its documents; the other half is for those that are
 * looked for: a quarter each for failed or slow ones, and for escalated ones. A batch that fits has all of them.
 */
export function drawnShare(budget: number, documents: number): number {
  if (documents === 0) return 0;
  return documents <= budget ? 1 : budget / 2 / documents;
}

export const keptAtMost = (budget: number): number => Math.ceil(budget / 4);

/** Failed before slow before escalated; null: nothing special about it. Slow is a call, waiting in bulk work is not. */
export function keptKind(document: CascadeDocument, ending: Ending, slowMs: number): KeptKind | null {
  const stages = stagesOf(document, ending);
  if (stages.at(-1)?.outcome === 'failed') return 'failed';
  const attempts = passageOf(document, stages).stages.flatMap((one) => one.attempts);
  if (attempts.some((one) => one.endedAtMs - one.startedAtMs >= slowMs)) return 'slow';
  return isEscalated(stages) ? 'escalated' : null;
}
