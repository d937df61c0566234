export {
  begunStages,
  deadlineStage,
  deliveringStage,
  finalVerdict,
  isEscalated,
  judgementOf,
  passageOf,
  stagesOf,
  type Ending,
  type StageOutcome,
  type StageRecord,
} from './ending.ts';
export type { AttemptError } from './attempt-error.ts';
export * from './bundle.ts';
export * from './copy.ts';
export * from './custom-id.ts';
export * from './delays.ts';
export { acceptingNothing, rulesAnew, selectionOf, type Selection } from './selected.ts';
export * from './job.ts';
export * from './kept.ts';
export * from './kept-result.ts';
export { keptSample } from './kept-sample.ts';
export { lineAnswer, lineError, RESULT_COLUMNS, resultCells } from './line-values.ts';
export * from './next-stage.ts';
export * from './no-json.ts';
export * from './redecide.ts';
export * from './request.ts';
export * from './result.ts';
export * from './result-line.ts';
export { differingDrafts, readSampleLine, type Sampled, type SampledJudgement } from './sample-line.ts';
export { rightOf, sampledResult } from './sampled-result.ts';
export { REVIEW_VERDICTS, shownReview, type ShownReview } from './review.ts';
export * from './times.ts';
