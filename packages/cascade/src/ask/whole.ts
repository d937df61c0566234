import { addUsage, NO_USAGE, type AskReason, type CascadeDocument, type ExtraCall, type Usage } from '@spillway/core';
import type { Asked, AttemptOptions } from '../asked.ts';
import type { StageModel } from '../stage-model.ts';
import { askAnswer } from './answer.ts';

/** The calls of an attempt so far, and the tokens that they took. */
export type Calls = { readonly extra: readonly ExtraCall[]; readonly usage: Usage };

export const NO_CALLS: Calls = { extra: [], usage: NO_USAGE };

/**
 * Asks for the whole answer where a stage is to ask otherwise, after what calls it has made; `reason`: why, null where
 * that is what it is to do.
 */
export async function askWhole(
  model: StageModel,
  document: CascadeDocument,
  options: AttemptOptions,
  { reason, calls = NO_CALLS }: { readonly reason: AskReason | null; readonly calls?: Calls },
): Promise<Asked> {
  const asked = await askAnswer(model, document, options);
  if (asked.kind !== 'answered') return asked;
  model.reading.note(document.job.body, asked.completion.usage.inputTokens);
  const how = reason === null ? {} : { how: { kind: 'answer', reason } as const };
  const [first] = calls.extra;
  if (first === undefined) return { ...asked, ...how };
  const { startedAtMs, endedAtMs, answer } = asked;
  const { inputTokens, outputTokens } = answer.usage;
  const own: ExtraCall = { purpose: 'whole_answer', startedAtMs, endedAtMs, error: null, inputTokens, outputTokens };
  return {
    ...asked,
    ...how,
    startedAtMs: first.startedAtMs,
    extra: [...calls.extra, own],
    answer: { ...answer, usage: addUsage(calls.usage, answer.usage) },
  };
}
