import { noticeMessage as modelNoticeMessage, type ModelNotice } from '@spillway/models';

/** What is told once of a model's server, so that it can be logged. */
export type StageNotice =
  | ModelNotice
  /** Its calls that score drafts, or go on from them, fail: for a while none is made. */
  | { readonly kind: 'drafts_paused'; readonly model: string; readonly said: string }
  /** Its calls that say whether drafts are right fail: for a while none is made. */
  | { readonly kind: 'verdicts_paused'; readonly model: string; readonly said: string };

/** A notice in words for the log: what follows from it. */
export function noticeMessage(notice: StageNotice): string {
  if (notice.kind === 'drafts_paused') return 'no use is made of drafts for a while';
  if (notice.kind === 'verdicts_paused') return 'no verdicts on drafts are asked for for a while';
  return modelNoticeMessage(notice);
}
