import { roleOf, stageOf } from '../cascade/rules.ts';
import type { Role } from '../cascade/tier.ts';
import { isEscalated, passageOf, stagesOf, type Ending, type StageRecord } from '../document/ending.ts';
import type { CascadeDocument } from '../document/job.ts';
import { timesOf, type Attempt, type ExtraCall } from '../document/times.ts';
import { describeCall, type NamedModel } from './call.ts';
import { batchTrace, TraceIds } from './ids.ts';
import { microseconds, type FinishedSpan, type SpanAttributes, type SpanEvent } from './span.ts';

export type DocumentTrace = {
  readonly document: CascadeDocument;
  readonly ending: Ending;
  /** When the result was written; Unix milliseconds. */
  readonly settledAtMs: number;
  /** The models of the cascade, by their names in the configuration. */
  readonly models: (name: string) => NamedModel | null;
  /** Whether prompts and answers may be in the spans. */
  readonly content: boolean;
};

/**
 * The trace of a settled document: the root from enqueueing to settle, and below it, in order and never overlapping, for
 * each attempt of each stage the wait and the work, with the model's call inside. Built afterwards from what the job
 * says, so it is whole whoever died on the way. Siblings are 1 µs apart: Jaeger's critical path loses those that touch.
 */
export function documentSpans(trace: DocumentTrace): FinishedSpan[] {
  const { document, ending, settledAtMs } = trace;
  const { job } = document;
  const stages = stagesOf(document, ending);
  const ids = new TraceIds(job);
  const children = new Children(microseconds(job.enqueuedAtMs));
  const spans = stages.flatMap((record, stage) =>
    record.attempts.flatMap((attempt, index) => {
      const isLast = index === record.attempts.length - 1;
      const endMs = isLast ? (record.handedOffAtMs ?? settledAtMs) : attempt.endedAtMs;
      const wait = children.until(attempt.sinceMs, attempt.startedAtMs);
      const work = children.until(attempt.startedAtMs, endMs);
      return attemptSpans(trace, { ids, stage, record, attempt, number: index + 1, isLast, wait, work });
    }),
  );
  const startUs = microseconds(job.enqueuedAtMs);
  const root: FinishedSpan = {
    name: 'document',
    service: 'spillway',
    kind: 'internal',
    traceId: ids.root.traceId,
    spanId: ids.root.spanId,
    parentId: null,
    startUs,
    endUs: Math.max(startUs, children.endUs, microseconds(settledAtMs)),
    attributes: rootAttributes(document, stages),
    events: finalStageEvents(stages),
    error: failureOf(ending),
    link: batchTrace(job.batch),
  };
  return [root, ...spans];
}

type Range = { readonly startUs: number; readonly endUs: number };

/** Places spans one after the other; clocks of two machines differ, so what would begin too early begins later. */
class Children {
  #endUs: number;

  constructor(startUs: number) {
    this.#endUs = startUs - 1;
  }

  get endUs(): number {
    return this.#endUs;
  }

  /** The range from one moment to just before another one. */
  until(fromMs: number, toMs: number): Range {
    const startUs = Math.max(microseconds(fromMs), this.#endUs + 1);
    this.#endUs = Math.max(startUs, microseconds(toMs) - 1);
    return { startUs, endUs: this.#endUs };
  }
}

type PlacedAttempt = {
  readonly ids: TraceIds;
  readonly stage: number;
  readonly record: StageRecord;
  readonly attempt: Attempt;
  /** From 1. */
  readonly number: number;
  /** Of its stage. */
  readonly isLast: boolean;
  readonly wait: Range;
  readonly work: Range;
};

/** What a stage's work is called, by its role. */
const WORK: Readonly<Record<Role, string>> = { drafter: 'draft', expert: 'expert' };

/** The wait for an attempt, the work on it, and the calls in it. */
function attemptSpans(trace: DocumentTrace, placed: PlacedAttempt): FinishedSpan[] {
  const { document, models, content } = trace;
  const { ids, stage, record, attempt, number, isLast, wait, work } = placed;
  const role = roleOf(document.rules, stage);
  const workId = ids.spanId(stage, number, 'work');
  const at = {
    'cascade.tier': `${role}.${record.model}`,
    'cascade.stage': stage + 1,
    'cascade.model': record.model,
    'cascade.attempt': number,
  };
  const shared = { service: role, traceId: ids.root.traceId, events: [], error: null, link: null } as const;
  const parent = { ...shared, kind: 'internal', parentId: ids.root.spanId } as const;
  const within = (ms: number): number => Math.min(Math.max(work.startUs, microseconds(ms)), work.endUs);
  const { extra = [] } = attempt;
  const callEndUs = within(Math.min(attempt.endedAtMs, ...extra.map((one) => one.startedAtMs)));
  const call = describeCall(document.job, record, { models, content, isLast });
  const error = attempt.error?.message ?? null;
  const waited = {
    ...parent,
    ...wait,
    name: `queue.wait ${role}`,
    spanId: ids.spanId(stage, number, 'wait'),
    attributes: { ...at, 'cascade.queue.wait_ms': (wait.endUs - wait.startUs) / 1_000 },
  };
  const worked = {
    ...parent,
    ...work,
    name: WORK[role],
    spanId: workId,
    attributes: at,
    events: isLast ? draftEvents(placed, trace, within(attempt.endedAtMs)) : [],
    error,
  };
  const called = {
    ...shared,
    kind: 'client',
    parentId: workId,
    name: call.name,
    spanId: ids.spanId(stage, number, 'call'),
    startUs: work.startUs,
    endUs: callEndUs,
    attributes: { ...call.attributes, 'error.type': attempt.error?.type ?? null },
    error,
  } as const;
  const besides = extra.map((one, index): FinishedSpan => ({
    ...shared,
    ...extraCall(one),
    kind: 'client',
    parentId: workId,
    name: call.name,
    spanId: ids.extraSpanId(stage, number, index),
    startUs: within(one.startedAtMs),
    endUs: Math.max(within(one.startedAtMs), within(one.endedAtMs)),
  }));
  return [waited, worked, called, ...besides];
}

const extraCall = ({ purpose, inputTokens, outputTokens, error }: ExtraCall) => ({
  attributes: {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'cascade.call.purpose': purpose,
    'gen_ai.usage.input_tokens': inputTokens,
    'gen_ai.usage.output_tokens': outputTokens,
    'error.type': error?.type ?? null,
  },
  error: error?.message ?? null,
});

/** What was made of a stage's draft, and when the document went on. */
function draftEvents({ stage, record }: PlacedAttempt, { document }: DocumentTrace, atUs: number): SpanEvent[] {
  const { judge } = stageOf(document.rules, stage);
  const { draft, outcome } = record;
  if (draft === null || judge === null) return [];
  const isFinal = outcome === 'accepted';
  const evaluation: SpanEvent = {
    name: 'gen_ai.evaluation.result',
    atUs,
    attributes: {
      'gen_ai.evaluation.name': judge.confidence.signal.name,
      'gen_ai.evaluation.score.value': draft.confidence,
      'gen_ai.evaluation.score.label': isFinal ? 'accepted' : 'escalated',
      'gen_ai.evaluation.explanation': 'reason' in draft ? draft.reason : null,
    },
  };
  return isFinal ? [evaluation] : [evaluation, { name: 'hand_off', atUs, attributes: {} }];
}

/** When the first call of the stage began that delivered: the end of the sequential wait of an escalated document. */
function finalStageEvents(stages: readonly StageRecord[]): SpanEvent[] {
  const first = stages.length > 1 ? stages.at(-1)?.attempts[0] : undefined;
  if (first === undefined) return [];
  return [{ name: 'final stage begins', atUs: microseconds(first.startedAtMs), attributes: {} }];
}

function rootAttributes(document: CascadeDocument, stages: readonly StageRecord[]): SpanAttributes {
  const { job, rules } = document;
  const { sequentialMs, totalMs } = timesOf(passageOf(document, stages));
  const last = stages.length - 1;
  // The confidence of a document is that of the stage that was judged last.
  const judged = stages.findLastIndex(({ draft }) => draft !== null);
  const draft = stages[judged]?.draft ?? null;
  const judge = judged === -1 ? null : stageOf(rules, judged).judge;
  return {
    'cascade.batch.id': job.batch,
    'cascade.document.id': job.customId,
    'cascade.name': job.cascade,
    'cascade.final_stage': last + 1,
    'cascade.tier.final': `${roleOf(rules, last)}.${stageOf(rules, last).model}`,
    'cascade.escalated': isEscalated(stages),
    'cascade.escalation.reason': draft !== null && 'reason' in draft ? draft.reason : null,
    'cascade.confidence.signal': judge?.confidence.signal.name ?? null,
    'cascade.confidence.score': draft?.score ?? null,
    'cascade.confidence.value': draft?.confidence ?? null,
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
