import type { DocumentJob } from '../job.ts';
import { wayOf, type Ending } from '../result.ts';

/** Why the trace of a document is kept that was not drawn. */
export type KeptKind = 'failed' | 'slow' | 'escalated';

/**
 * Of the traces that a batch may have, a half is drawn evenly over its documents; the other half is for those that are
 * looked for: a quarter each for failed or slow ones, and for escalated ones.
 */
export const drawnShare = (budget: number, documents: number): number =>
  documents === 0 ? 0 : Math.min(1, budget / 2 / documents);

export const keptAtMost = (budget: number, _kind: KeptKind): number => Math.ceil(budget / 4);

/** Failed before slow before escalated; null: nothing special about it. Slow is a call, waiting in bulk work is not. */
export function keptKind(job: DocumentJob, ending: Ending, slowMs: number): KeptKind | null {
  const isFailed = ending.kind === 'failed' || (ending.kind === 'expert' && ending.answer.status >= 300);
  if (isFailed) return 'failed';
  const { drafts, experts } = wayOf(job, ending);
  if ([...drafts, ...experts].some((one) => one.endedAtMs - one.startedAtMs >= slowMs)) return 'slow';
  return ending.kind !== 'accepted' && job.draft !== null ? 'escalated' : null;
}
