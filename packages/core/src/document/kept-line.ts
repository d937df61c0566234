import { resultLineId } from '../batch/ids.ts';
import { annotationOf } from './annotation.ts';
import { writtenId } from './custom-id.ts';
import type { StageRecord } from './ending.ts';
import type { Answer, CascadeDocument } from './job.ts';
import { responseOf } from './result.ts';
import type { ResultLine } from './result-line.ts';

/** The line of a document whose answer is known from the batch `from`: nothing was asked, so nothing took any time. */
export function keptLine(
  { job, rules }: CascadeDocument,
  stages: readonly StageRecord[],
  { answer, from }: { readonly answer: Answer; readonly from: string },
): ResultLine {
  const times = { stages: stages.map(() => null), sequentialMs: null, totalMs: 0 };
  return {
    id: resultLineId(job.batch, job.document),
    custom_id: writtenId(job.customId),
    response: responseOf(job, answer),
    error: null,
    ...(rules.annotate
      ? { cascade: { ...annotationOf({ job, rules }, stages, { times, isTraced: false }), kept_from: from } }
      : {}),
  };
}
