import {
  addUsage,
  ASSESSMENT_TOP,
  assessedProbability,
  comparisonRequest,
  differingDrafts,
  type CascadeDocument,
} from '@spillway/core';
import type { Asked, AttemptOptions, ExtraRequest } from './asked.ts';
import type { Interrupted } from './evidence.ts';
import { withSpent } from './spent.ts';
import type { StageModel } from './stage-model.ts';

type Answered = Extract<Asked, { kind: 'answered' }>;

/** Fields that a question of one token sets for its own purpose. */
const OWN = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'temperature'];

/** The expert's answer to a sampled document, with the stages, from 0, whose drafts mean the same by what it says of them. */
export type Compared = { readonly asked: Answered; readonly sameAs: readonly number[] };

/**
 * Asks the expert, a token each, whether drafts of a sampled document that are worded otherwise than its answer mean the
 * same, where its cascade compares answers so. What it does not say of a draft is taken for a no.
 */
export async function compareDrafts(
  model: StageModel,
  document: CascadeDocument,
  asked: Answered,
  options: AttemptOptions,
): Promise<Compared | Interrupted> {
  const { job } = document;
  const { text } = asked.completion;
  const drafts = text === null ? [] : differingDrafts(document, text);
  const requests = drafts.flatMap(({ stage, text: other }): (ExtraRequest & { stage: number })[] => {
    const body = comparisonRequest(job.endpoint, job.body, { own: text ?? '', other });
    return body === null ? [] : [{ body, own: OWN, purpose: 'comparison', index: stage, stage }];
  });
  if (requests.length === 0) return { asked, sameAs: [] };
  const sameAs: number[] = [];
  let { usage } = asked.answer;
  const extra = [...(asked.extra ?? [])];
  for (const request of requests) {
    const said = await model.askExtra(job, { ...options, topLogprobs: ASSESSMENT_TOP }, request);
    if (!('call' in said)) return withSpent(said, usage);
    extra.push(said.call);
    if (said.kind !== 'answered') continue;
    usage = addUsage(usage, said.completion.usage);
    if ((assessedProbability(said.completion) ?? 0) > 0.5) sameAs.push(request.stage);
  }
  return { asked: { ...asked, answer: { ...asked.answer, usage }, extra }, sameAs };
}
