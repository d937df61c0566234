import { SHADOW_SIGNALS, SIGNALS, stageOf, type CascadeDocument } from '@spillway/core';
import type { Asked, AttemptOptions } from '../asked.ts';
import type { StageModel } from '../stage-model.ts';

/** Alternatives for all signals over tokens. */
const SHADOW_TOP_LOGPROBS = Math.max(
  ...SHADOW_SIGNALS.map(({ name }) => SIGNALS[name].topLogprobs),
  SIGNALS.head.topLogprobs,
);

/** `ask: answer`: the stage answers the document by itself, with the log-probs that its confidence needs. */
export async function askAnswer(
  model: StageModel,
  { job, rules }: CascadeDocument,
  options: AttemptOptions,
): Promise<Asked> {
  const { judge, stopEarly = false } = stageOf(rules, job.stage);
  const wanted = judge === null ? 0 : SIGNALS[judge.confidence.signal.name].topLogprobs;
  const topLogprobs =
    judge !== null && rules.shadow && rules.sample === undefined ? Math.max(wanted, SHADOW_TOP_LOGPROBS) : wanted;
  return await model.ask(job, { ...options, topLogprobs, watching: stopEarly ? judge : null });
}
