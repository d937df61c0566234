import { isDirectId } from '../batch/ids.ts';
import { judgeIn, roleOf, stageOf } from '../cascade/rules.ts';
import {
  begunStages,
  deliveringStage,
  isEscalated,
  judgementOf,
  passageOf,
  stagesOf,
  type Ending,
  type StageRecord,
} from '../document/ending.ts';
import { draftToHandOff, withLostCall, type CascadeDocument } from '../document/job.ts';
import { timesOf } from '../document/times.ts';
import { Children, namesOf, StageSpans, type DocumentTrace } from './attempt.ts';
import { batchTrace, TraceIds } from './ids.ts';
import { microseconds, type FinishedSpan, type SpanAttributes, type SpanEvent } from './span.ts';

/** A document that has come to its end. */
export type EndedTrace = DocumentTrace & {
  readonly ending: Ending;
  /** When the result was written; Unix milliseconds. */
  readonly settledAtMs: number;
};

/**
 * The trace of a settled document: the root from enqueueing to settle, and below it, in order and never overlapping, for
 * each attempt of each stage what it waited for and the work, with the model's call inside. Built afterwards from what the
 * job says, so it is whole whoever died on the way. Siblings are 1 µs apart: Jaeger's critical path loses those that touch.
 * The link to the batch stands on the first of them: Jaeger takes one on the root for the root's parent.
 */
export function documentSpans({ ending, settledAtMs, ...trace }: EndedTrace): FinishedSpan[] {
  const stages = stagesOf(trace.document, ending);
  const [root, ...children] = spansOf(trace, { stages, settledAtMs, endedAtMs: settledAtMs });
  return [{ ...root, events: finalStageEvents(stages), error: failureOf(ending) }, ...children];
}

/** The trace of a document whose batch ended before it did, with the batch's own error; null: no model was asked. */
export function unfinishedSpans(trace: DocumentTrace & { readonly endedAtMs: number; readonly error: string }) {
  const { unproven, ...rest } = trace.document.job;
  // Whose fault it was is not found out any more.
  const job = unproven?.stage === rest.stage ? withLostCall(rest, unproven, 'back_off') : rest;
  const document = { ...trace.document, job };
  const stages = begunStages(document);
  const isAsked =
    stages.some(({ attempts }) => attempts.length > 0) || job.delays?.some(({ call }) => call !== undefined);
  if (isAsked !== true) return null;
  const [root, ...children] = spansOf(
    { ...trace, document },
    { stages, settledAtMs: null, endedAtMs: trace.endedAtMs },
  );
  return [{ ...root, error: trace.error }, ...children];
}

type Way = {
  readonly stages: readonly StageRecord[];
  /** Null: it still waited when its batch ended. */
  readonly settledAtMs: number | null;
  readonly endedAtMs: number;
};

function spansOf(trace: DocumentTrace, { stages, settledAtMs, endedAtMs }: Way): [FinishedSpan, ...FinishedSpan[]] {
  const { document } = trace;
  const { job } = document;
  const ids = new TraceIds(job);
  const startUs = microseconds(job.enqueuedAtMs);
  const children = new Children(startUs);
  const [first, ...others] = stages.flatMap((record, stage) => {
    const own = new StageSpans(trace, ids, { record, stage });
    const done = own.within(children, settledAtMs);
    const isWaiting = settledAtMs === null && stage === job.stage && draftToHandOff(job) === null;
    return isWaiting ? [...done, ...own.waiting(children, endedAtMs)] : done;
  });
  const root: FinishedSpan = {
    name: 'document',
    service: 'spillway',
    by: null,
    kind: 'internal',
    traceId: ids.root.traceId,
    spanId: ids.root.spanId,
    parentId: null,
    startUs,
    endUs: Math.max(startUs, children.endUs, microseconds(endedAtMs)),
    attributes: rootAttributes(document, stages),
    events: [],
    error: null,
    link: null,
  };
  if (first === undefined) return [root];
  return [root, { ...first, link: isDirectId(job.batch) ? null : batchTrace(job.batch) }, ...others];
}

/** When the first call of the last stage began: the end of the sequential wait of an escalated document. */
function finalStageEvents(stages: readonly StageRecord[]): SpanEvent[] {
  const first = stages.length > 1 ? stages.at(-1)?.attempts[0] : undefined;
  if (first === undefined) return [];
  return [{ name: 'final stage begins', atUs: microseconds(first.startedAtMs), attributes: {} }];
}

function rootAttributes(document: CascadeDocument, stages: readonly StageRecord[]): SpanAttributes {
  const { rules } = document;
  const { sequentialMs, totalMs } = timesOf(passageOf(document, stages));
  const last = deliveringStage(stages);
  // The confidence of a document is that of the stage that judged last.
  const judgements = stages.map(judgementOf);
  const judged = judgements.findLastIndex((one) => one !== null);
  const judgement = judgements[judged] ?? null;
  const draft = stages.findLast((one) => one.draft !== null)?.draft ?? null;
  const judge = judged === -1 ? null : judgeIn(stageOf(rules, judged));
  return {
    ...namesOf(document),
    'cascade.final_stage': last + 1,
    'cascade.tier.final': `${roleOf(rules, last)}.${stageOf(rules, last).model}`,
    'cascade.escalated': isEscalated(stages),
    'cascade.escalation.reason': draft !== null && 'reason' in draft ? draft.reason : null,
    'cascade.confidence.signal': judge?.confidence.signal.name ?? null,
    'cascade.confidence.score': judgement?.score ?? null,
    'cascade.confidence.value': judgement?.confidence ?? null,
    'cascade.confidence.threshold': judge?.acceptAt ?? null,
    'cascade.sequential_wait_ms': sequentialMs,
    'cascade.sequential_wait_share':
      sequentialMs === null || totalMs === 0 ? null : Math.round((sequentialMs / totalMs) * 1_000) / 1_000,
  };
}

function failureOf(ending: Ending): string | null {
  if (ending.kind === 'failed') return ending.error.code;
  if (ending.kind === 'answered' && ending.answer.status >= 300) return `status ${ending.answer.status}`;
  return null;
}
