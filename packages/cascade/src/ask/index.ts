import { isLastStage, stageOf, type AskKind, type CascadeDocument } from '@spillway/core';
import type { Asked, AttemptOptions } from '../asked.ts';
import type { StageModel } from '../stage-model.ts';
import { askAnswer } from './answer.ts';
import { askFields } from './fields.ts';
import { askVerdict } from './verdict.ts';
import { askVerify } from './verify.ts';
import { askWhole } from './whole.ts';

/** A way of asking a stage's model about a document. */
type Ask = (model: StageModel, document: CascadeDocument, options: AttemptOptions) => Promise<Asked>;

/** The ways of asking, each a file of this folder; the one place where one is added. */
const ASK: Readonly<Record<AskKind, Ask>> = {
  answer: askAnswer,
  verify: askVerify,
  fields: askFields,
  verdict: askVerdict,
};

/**
 * Asks a stage's model as its rules say. In a shadow run the last stage's answers are what drafts are compared with, so
 * none of them may have anything of a draft that it would not have said itself.
 */
export async function askStage(model: StageModel, document: CascadeDocument, options: AttemptOptions): Promise<Asked> {
  const { job, rules } = document;
  const { ask, tolerance } = stageOf(rules, job.stage);
  const isBiased = ask === 'fields' || (ask === 'verify' && tolerance !== undefined);
  return rules.shadow && isBiased && isLastStage(rules, job.stage)
    ? await askWhole(model, document, options, { reason: 'shadow_run' })
    : await ASK[ask](model, document, options);
}
