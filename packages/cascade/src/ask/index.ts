import type { AskKind, CascadeDocument } from '@spillway/core';
import type { Asked, AttemptOptions } from '../asked.ts';
import type { StageModel } from '../stage-model.ts';
import { askAnswer } from './answer.ts';
import { askFields } from './fields.ts';
import { askVerdict } from './verdict.ts';
import { askVerify } from './verify.ts';

/** A way of asking a stage's model about a document. */
export type Ask = (model: StageModel, document: CascadeDocument, options: AttemptOptions) => Promise<Asked>;

/** The ways of asking, each a file of this folder; the one place where one is added. */
export const ASK: Readonly<Record<AskKind, Ask>> = {
  answer: askAnswer,
  verify: askVerify,
  fields: askFields,
  verdict: askVerdict,
};
