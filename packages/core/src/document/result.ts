import { NO_USAGE, stageCounter, type Counter, type Counts, type StageCounter } from '../accounting/counts.ts';
import { nanoUsd } from '../accounting/price.ts';
import { resultLineId } from '../batch/ids.ts';
import type { PageLine } from '../batch/page.ts';
import { stageOf } from '../cascade/rules.ts';
import { jsonLine } from '../text/json-line.ts';
import { annotationOf } from './annotation.ts';
import { writtenId } from './custom-id.ts';
import { isEscalated, passageOf, stagesBeyond, stagesOf, type Ending, type StageRecord } from './ending.ts';
import type { Answer, CascadeDocument, NoAnswer } from './job.ts';
import type { BadLine } from './request.ts';
import type { ResultLine } from './result-line.ts';
import { timesOf, type DocumentTimes } from './times.ts';

/** A document's result as it is kept in its page until that is sealed. */
export type Result = {
  readonly line: PageLine;
  readonly counts: Partial<Counts>;
  readonly cascade: string;
  readonly times: DocumentTimes;
};

/** The result of what no stage was asked about: it has no times. */
export type UnaskedResult = Pick<Result, 'line' | 'counts'>;

const responseOf = (answer: Answer): ResultLine['response'] => ({
  status_code: answer.status,
  request_id: answer.requestId ?? '',
  body: answer.body,
});

/** The result of a document that came to its end in a stage, or whose draft is delivered at the deadline. */
export function resultOf(document: CascadeDocument, ending: Ending): Result {
  const { job, rules } = document;
  const stages = stagesOf(document, ending);
  const answer = stages.at(-1)?.answer ?? null;
  const isCompleted = answer !== null && answer.status < 300;
  const times = timesOf(passageOf(document, stages));
  const line: ResultLine = {
    id: resultLineId(job.batch, job.document),
    // A job of an earlier version has the id as the client sent it.
    custom_id: writtenId(job.customId),
    response: answer === null ? null : responseOf(answer),
    error: ending.kind === 'failed' ? { code: ending.error.code, message: ending.error.message } : null,
    ...(rules.annotate ? { cascade: annotationOf(document, stages, times) } : {}),
  };
  return {
    line: { part: isCompleted ? 'output' : 'error', text: jsonLine(line) },
    counts: countsOf(document, { stages, beyond: stagesBeyond(document, ending), isCompleted }),
    cascade: job.cascade,
    times,
  };
}

/** The result of a document whose batch ended first. */
export function unfinishedLine(batch: string, document: number, customId: string, why: NoAnswer): PageLine {
  const { code, message } = why;
  const id = resultLineId(batch, document);
  const line: ResultLine = { id, custom_id: customId, response: null, error: { code, message } };
  return { part: 'error', text: jsonLine(line) };
}

/** The result of a bad line of the input that goes to the error file. */
export function badLineResult(batch: string, document: number, { customId, error }: BadLine): UnaskedResult {
  const line: ResultLine = { id: resultLineId(batch, document), custom_id: customId, response: null, error };
  return { line: { part: 'error', text: jsonLine(line) }, counts: { failed: 1 } };
}

type Counted = {
  readonly stages: readonly StageRecord[];
  /** Those that drafted after the one that delivered. */
  readonly beyond: readonly StageRecord[];
  readonly isCompleted: boolean;
};

/** What a document adds to the counters of its page and its batch; counters that it leaves as they are are absent. */
function countsOf({ job, rules }: CascadeDocument, { stages, beyond, isCompleted }: Counted): Partial<Counts> {
  const counts: Record<string, number> = {};
  const add = (name: Counter, by = 1): void => {
    if (by !== 0) counts[name] = by;
  };
  const last = stages.at(-1);
  add(isCompleted ? 'completed' : 'failed');
  if (last?.outcome === 'accepted') add('accepted');
  if (isEscalated(stages)) add('escalated');
  add('allExpertNanoUsd', allExpertNanoUsd({ job, rules }, stages));
  for (const [stage, record] of [...stages, ...beyond].entries()) {
    const own = stageCountsOf(record, stage === stages.length - 1, stageOf(rules, stage).price);
    for (const [name, by] of Object.entries(own)) {
      if (by !== 0) counts[stageCounter(job.cascade, stage, name as StageCounter)] = by;
    }
  }
  return counts;
}

function stageCountsOf(
  { outcome, usage }: StageRecord,
  isFinal: boolean,
  price: Parameters<typeof nanoUsd>[1],
): Partial<Record<StageCounter, number>> {
  const money = nanoUsd(usage, price);
  return {
    ...(outcome === 'deadline_draft' ? { escalated: 1 } : { [outcome]: 1 }),
    // A draft that failed every attempt is escalated too.
    ...(!isFinal && outcome === 'failed' ? { escalated: 1 } : {}),
    inputTokens: usage.inputTokens,
    cachedTokens: usage.cachedTokens,
    outputTokens: usage.outputTokens,
    reasoningTokens: usage.reasoningTokens,
    nanoUsd: money,
    ...(isFinal
      ? {}
      : { wastedInputTokens: usage.inputTokens, wastedOutputTokens: usage.outputTokens, wastedNanoUsd: money }),
  };
}

/**
 * What the last stage's model alone would have cost: what it would have read and written for a document that it did not
 * answer is taken to be what the latest stage did that answered.
 */
function allExpertNanoUsd({ rules }: CascadeDocument, stages: readonly StageRecord[]): number {
  const expert = stageOf(rules, rules.stages.length - 1);
  const answered = stages.findLast(({ answer }) => answer !== null);
  return nanoUsd(answered?.usage ?? NO_USAGE, expert.price);
}
