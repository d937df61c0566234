import { addUsage, NO_USAGE, type AskReason, type CascadeDocument, type ExtraCall, type Usage } from '@spillway/core';
import type { Asked, AttemptOptions } from '../asked.ts';
import { withSpent } from '../spent.ts';
import type { StageModel } from '../stage-model.ts';
import { askAnswer } from './answer.ts';

/** The calls of an attempt so far, and the tokens that they took. */
export type Calls = { readonly extra: readonly ExtraCall[]; readonly usage: Usage };

const NO_CALLS: Calls = { extra: [], usage: NO_USAGE };

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
  if (asked.kind === 'rejected' || asked.kind === 'exhausted') return withVain(asked, calls);
  if (asked.kind !== 'answered') return withSpent(asked, calls.usage);
  model.reading.note(document.job, document.job.body, asked.completion.usage.inputTokens);
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

/** A refusal, or a failure for good, with what was paid for before it. */
function withVain<Failed extends Extract<Asked, { kind: 'rejected' | 'exhausted' }>>(
  asked: Failed,
  { extra, usage }: Calls,
): Failed {
  const [first] = extra;
  if (first === undefined) return asked;
  const { startedAtMs, endedAtMs, answer, why } = asked;
  const own: ExtraCall = {
    purpose: 'whole_answer',
    startedAtMs,
    endedAtMs,
    error: why,
    inputTokens: 0,
    outputTokens: 0,
  };
  return {
    ...asked,
    answer: answer === null ? null : { ...answer, usage: addUsage(usage, answer.usage) },
    startedAtMs: first.startedAtMs,
    extra: [...extra, own],
    spent: usage,
  };
}
