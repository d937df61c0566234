import { isChosenForAudit } from '../audit/draw.ts';
import {
  askCounter,
  confidenceCounter,
  errorCounter,
  fieldCounter,
  NO_USAGE,
  reasonCounter,
  stageCounter,
  type Counter,
  type Counts,
  type StageCounter,
} from '../accounting/counts.ts';
import { confidenceBin } from '../accounting/confidence-bins.ts';
import { nanoUsd, type PricedTokens } from '../accounting/price.ts';
import type { Said } from '../accounting/reasons.ts';
import { requestIdOf, resultLineId } from '../batch/ids.ts';
import type { PageLine } from '../batch/page.ts';
import { ruledFields, stageOf, type StageRules } from '../cascade/rules.ts';
import { SIGNALS } from '../confidence/signals.ts';
import { readUsage } from '../endpoints/usage.ts';
import { jsonLine } from '../text/json-line.ts';
import { isJsonObject } from '../text/json.ts';
import { annotationOf } from './annotation.ts';
import { writtenId } from './custom-id.ts';
import {
  deliveringStage,
  isEscalated,
  judgementOf,
  passageOf,
  stagesBeyond,
  stagesOf,
  type Ending,
  type StageRecord,
} from './ending.ts';
import type { Answer, CascadeDocument, DocumentJob, NoAnswer } from './job.ts';
import type { BadLine } from './request.ts';
import type { ResultLine } from './result-line.ts';
import { sampleLineText } from './sample-line.ts';
import { timesOf, type DocumentTimes, type StageTimes } from './times.ts';

/** A document's result as it is kept in its page until that is sealed. */
export type Result = {
  readonly line: PageLine;
  readonly counts: Partial<Counts>;
  /** What the servers said of it, for those of its counters that say why; absent: nothing. */
  readonly said?: Said;
  /** What its stages made of it, for the private part of its page; absent: nothing is known. */
  readonly kept?: string;
  readonly cascade: string;
  readonly times: DocumentTimes;
};

/** The result of what no stage was asked about: it has no times. */
export type UnaskedResult = Pick<Result, 'line' | 'counts' | 'said' | 'kept'>;

export const responseOf = (
  { batch, document }: DocumentJob,
  { status, requestId, body }: Answer,
): ResultLine['response'] => ({
  status_code: status,
  request_id: requestId === null || requestId === '' ? requestIdOf(batch, document) : requestId,
  body,
});

/**
 * The result of a document that came to its end in a stage, or whose draft is delivered at the deadline; `isTraced`: its
 * trace is kept.
 */
export function resultOf(document: CascadeDocument, ending: Ending, isTraced = document.job.sampled): Result {
  const { job, rules } = document;
  const stages = stagesOf(document, ending);
  const answer = stages.at(-1)?.answer ?? null;
  const isCompleted = answer !== null && answer.status < 300;
  const times = timesOf(passageOf(document, stages));
  const line: ResultLine = {
    id: resultLineId(job.batch, job.document),
    // A job of an earlier version has the id as the client sent it.
    custom_id: writtenId(job.customId),
    response: answer === null ? null : responseOf(job, answer),
    error: ending.kind === 'failed' ? { code: ending.error.code, message: ending.error.message } : null,
    ...(rules.annotate ? { cascade: annotationOf(document, stages, { times, isTraced }) } : {}),
  };
  const all = [...stages, ...stagesBeyond(document, ending)];
  const failure = isCompleted ? null : failureOf(ending);
  const toAudit = isChosenForAudit(document, ending)
    ? { [stageCounter(job.cascade, job.stage, 'auditsChosen')]: 1 }
    : {};
  const result = {
    counts: { ...countsOf(document, { stages, all, failure, times }), ...(isTraced ? { traced: 1 } : {}), ...toAudit },
    said: saidIn(job, all, failure),
    cascade: job.cascade,
    times,
  };
  const { sameAs = [] } = ending.kind === 'answered' ? ending : {};
  const text = rules.sample === undefined ? jsonLine(line) : sampleLineText(document, stages, { line, result, sameAs });
  return { line: { part: isCompleted ? 'output' : 'error', text }, ...result };
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
  return { line: { part: 'error', text: jsonLine(line) }, counts: { failed: 1, [errorCounter(error.code)]: 1 } };
}

/** What a line of the error file holds, as it is counted, and what the server said. */
type Failure = { readonly counter: ReturnType<typeof errorCounter>; readonly said: string | null };

/** Of an ending whose line goes to the error file. Where the server said nothing, how its call broke is as telling. */
function failureOf(ending: Ending): Failure | null {
  if (ending.kind === 'failed') {
    const { error, why } = ending;
    return { counter: errorCounter(error.code), said: why.said ?? why.message };
  }
  if (ending.kind !== 'answered') return null;
  const { answer, why } = ending;
  return { counter: errorCounter(answer.status), said: why?.said ?? why?.message ?? null };
}

/** Each stage's reason to go on, from 0. */
const reasonOf = ({ draft }: StageRecord) => (draft !== null && 'reason' in draft ? draft.reason : null);

/** What the servers said of a document, by the counters that it adds to. */
function saidIn({ cascade }: DocumentJob, stages: readonly StageRecord[], failure: Failure | null): Said {
  const said: Record<string, string> = {};
  for (const [stage, record] of stages.entries()) {
    const { draft } = record;
    const reason = reasonOf(record);
    if (reason !== null && draft !== null && 'said' in draft && draft.said !== undefined) {
      said[reasonCounter(cascade, stage, reason)] = draft.said;
    }
  }
  if (failure !== null && failure.said !== null) said[failure.counter] = failure.said;
  return said;
}

type Counted = {
  readonly stages: readonly StageRecord[];
  /** With those that drafted after the one that delivered. */
  readonly all: readonly StageRecord[];
  /** Null: its line goes to the output file. */
  readonly failure: Failure | null;
  readonly times: DocumentTimes;
};

/** What a document adds to the counters of its page and its batch; counters that it leaves as they are are absent. */
function countsOf({ job, rules }: CascadeDocument, { stages, all, failure, times }: Counted): Partial<Counts> {
  const counts: Record<string, number> = {};
  const add = (name: Counter, by = 1): void => {
    if (by !== 0) counts[name] = by;
  };
  const last = stages.at(-1);
  const delivering = deliveringStage(stages);
  add(failure === null ? 'completed' : 'failed');
  if (failure !== null) counts[failure.counter] = 1;
  if (last?.outcome === 'accepted') add('accepted');
  if (isEscalated(stages)) add('escalated');
  add('allExpertNanoUsd', allExpertNanoUsd({ job, rules }, stages));
  for (const [stage, record] of all.entries()) {
    const { confidence = null } = judgementOf(record) ?? {};
    if (confidence !== null) counts[confidenceCounter(job.cascade, stage, confidenceBin(confidence))] = 1;
    // The batch that asked has counted all else.
    if (record.kept === true) {
      counts[stageCounter(job.cascade, stage, 'kept')] = 1;
      continue;
    }
    const reason = reasonOf(record);
    if (reason !== null) counts[reasonCounter(job.cascade, stage, reason)] = 1;
    const { how } = record;
    if (how?.kind === 'answer') counts[askCounter(job.cascade, stage, how.reason)] = 1;
    if (how?.kind === 'fields') {
      for (const [place, path] of ruledFields(rules, stage).entries()) {
        if (how.asked.includes(path)) counts[fieldCounter(job.cascade, stage, place)] = 1;
      }
    }
    const isFinal = stage === delivering || stage === stages.length - 1;
    const own: Partial<Record<StageCounter, number>> = {
      ...stageCountsOf(record, isFinal, stageOf(rules, stage).price),
      ...(stage === delivering && stage < stages.length - 1 ? confirmedOf(times.stages[stage]) : {}),
    };
    for (const [name, by] of Object.entries(own)) {
      if (by !== 0) counts[stageCounter(job.cascade, stage, name as StageCounter)] = by;
    }
  }
  return counts;
}

function stageCountsOf(
  record: StageRecord,
  isFinal: boolean,
  price: Parameters<typeof nanoUsd>[1],
): Partial<Record<StageCounter, number>> {
  const { outcome, usage, draft } = record;
  const money = nanoUsd(usage, price);
  return {
    ...(outcome === 'deadline_draft' ? { escalated: 1, deadlineDrafts: 1 } : { [outcome]: 1 }),
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
    ...(draft?.stopped === undefined ? {} : { stopped: 1, stoppedOutputTokens: usage.outputTokens }),
    ...reuseOf(record, price),
  };
}

/** Of a stage whose draft is final by the verdict of a later one. */
const confirmedOf = (times: StageTimes | null | undefined): Partial<Record<StageCounter, number>> => ({
  confirmed: 1,
  confirmedMs: Math.round(times?.callMs ?? 0),
});

/** What a stage took that made use of a draft, and what its whole answer would have. */
function reuseOf(
  { how, usage, attempts, outcome }: StageRecord,
  price: Parameters<typeof nanoUsd>[1],
): Partial<Record<StageCounter, number>> {
  if (how === undefined || how.kind === 'answer') return {};
  const { instead } = how;
  // A draft stands as it was where it is final by a verdict, too.
  const isWhole = how.kind === 'verify' ? how.isWhole : how.kind === 'verdict' && outcome === 'accepted';
  const last = attempts.at(-1);
  return {
    reused: 1,
    askedFields: how.kind === 'fields' ? how.asked.length : 0,
    reusedWhole: isWhole ? 1 : 0,
    reusedInputTokens: usage.inputTokens,
    reusedOutputTokens: usage.outputTokens,
    reusedNanoUsd: nanoUsd(usage, price),
    insteadInputTokens: instead.inputTokens,
    insteadOutputTokens: instead.outputTokens,
    insteadNanoUsd: nanoUsd({ ...instead, cachedTokens: 0 }, price),
    ...(instead.ms === null || last === undefined
      ? {}
      : {
          reusedMs: Math.max(0, Math.round(last.endedAtMs - last.startedAtMs)),
          insteadMs: Math.round(instead.ms),
        }),
  };
}

/**
 * What the last stage's model alone would have cost: what it would have read and written for a document that it did not
 * answer is taken to be what the latest stage did that answered.
 */
function allExpertNanoUsd({ rules }: CascadeDocument, stages: readonly StageRecord[]): number {
  const expert = stageOf(rules, rules.stages.length - 1);
  const answered = stages.findLastIndex(({ answer }) => answer !== null);
  const record = stages[answered];
  return nanoUsd(record === undefined ? NO_USAGE : oneAnswerOf(record, stageOf(rules, answered)), expert.price);
}

/**
 * What a stage took for one answer: without the further calls of its signal, which the last stage would not make, and as
 * if it had not made use of a draft.
 */
export function oneAnswerOf({ how, usage, answer }: StageRecord, { judge }: StageRules): PricedTokens {
  if (how !== undefined && how.kind !== 'answer') return { ...how.instead, cachedTokens: 0 };
  const needs = judge === null ? 'nothing' : SIGNALS[judge.confidence.signal.name].needs;
  // Where it was asked for the whole answer after all, there may have been calls in vain before.
  const isAlone = needs === 'nothing' && how === undefined;
  return isAlone || !isJsonObject(answer?.body) ? usage : readUsage(answer.body['usage']);
}
