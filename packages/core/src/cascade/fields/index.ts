export { readFieldAnswer, type AnsweredField, type FieldAnswers, type Misfit, type MisfitReason } from './answer.ts';
export { continuedText, readContinuedValue, type ContinuedValue } from './continue.ts';
export { ContinuedScan } from './continued-scan.ts';
export { judgeAnswered, judgeContinued } from './judge-answer.ts';
export {
  mergeFields,
  type FieldSource,
  type Merged,
  type MergeParts,
  type MergeReason,
  type SourcedDraft,
  type SourcedText,
} from './merge.ts';
export {
  MAX_FIELDS_ASKED,
  planFields,
  type DraftedFields,
  type FieldsPlan,
  type Whole,
  type WholeReason,
} from './plan.ts';
export { pointerTokens } from './pointer.ts';
export { fieldsRequest, reducedSchema } from './request.ts';
export {
  byDoubt,
  judgeFields,
  mayHaveValues,
  shownConfidences,
  type JudgedField,
  type JudgedFields,
} from './unsure.ts';
