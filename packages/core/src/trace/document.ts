import type { Completion } from '../completion.ts';
import { ENDPOINTS } from '../endpoints/index.ts';
import type { JsonObject } from '../json.ts';
import type { Answer, DocumentJob } from '../job.ts';
import { endingDraft, wayOf, type Ending } from '../result.ts';
import type { Role } from '../rules.ts';
import { timesOf, type TierAttempt } from '../times.ts';
import { batchTrace, TraceIds } from './ids.ts';
import { microseconds, type FinishedSpan, type SpanAttributes, type SpanEvent, type SpanService } from './span.ts';

/** A model as its server knows it. */
export type NamedModel = { readonly model: string; readonly address: string; readonly port: number };

export type DocumentTrace = {
  readonly job: DocumentJob;
  readonly ending: Ending;
  /** When the result was written; Unix milliseconds. */
  readonly settledAtMs: number;
  /** The models of the cascade, by their names in the configuration. */
  readonly models: (name: string) => NamedModel | null;
  /** Whether prompts and answers may be in the spans. */
  readonly content: boolean;
};

const TIER: Readonly<Record<Role, Exclude<SpanService, 'spillway'>>> = { draft: 'drafter', expert: 'expert' };

/**
 * The trace of a settled document: the root from feeding to settle, and below it, in order and never overlapping, for
 * each try of each tier the wait and the work, with the model's call inside. Built afterwards from what the job says,
 * so it is whole whoever died on the way. Siblings are 1 µs apart: Jaeger's critical path loses those that touch.
 */
export function documentSpans(trace: DocumentTrace): FinishedSpan[] {
  const { job, ending, settledAtMs } = trace;
  const way = wayOf(job, ending);
  const ids = new TraceIds(job);
  const { traceId, spanId: rootId } = ids.root;
  const children = new Children(microseconds(job.fedAtMs));
  const spans: FinishedSpan[] = [];
  const tier = (role: Role, attempts: readonly TierAttempt[], lastEndMs: number): void => {
    attempts.forEach((attempt, index) => {
      const isLast = index === attempts.length - 1;
      const wait = children.until(attempt.sinceMs, attempt.startedAtMs);
      const work = children.until(attempt.startedAtMs, isLast ? lastEndMs : attempt.endedAtMs);
      spans.push(...attemptSpans(trace, { ids, role, attempt, number: index + 1, isLast, wait, work }));
    });
  };
  const { handedOverAtMs } = way;
  tier('draft', way.drafts, handedOverAtMs ?? settledAtMs);
  tier('expert', way.experts, settledAtMs);
  const startUs = microseconds(job.fedAtMs);
  const root: FinishedSpan = {
    name: 'document',
    service: 'spillway',
    kind: 'internal',
    traceId,
    spanId: rootId,
    parentId: null,
    startUs,
    endUs: Math.max(startUs, children.endUs, microseconds(settledAtMs)),
    attributes: rootAttributes(trace),
    events: [],
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

type Tried = {
  readonly ids: TraceIds;
  readonly role: Role;
  readonly attempt: TierAttempt;
  readonly number: number;
  readonly isLast: boolean;
  readonly wait: Range;
  readonly work: Range;
};

/** The wait for a try, the try, and the call in it. */
function attemptSpans(trace: DocumentTrace, tried: Tried): FinishedSpan[] {
  const { ids, role, attempt, number, isLast, wait, work } = tried;
  const { traceId, spanId: rootId } = ids.root;
  const service = TIER[role];
  const workId = ids.spanId(role, number, 'work');
  const at = { 'cascade.tier': role, 'cascade.attempt': number };
  const shared = { service, traceId, events: [], error: null, link: null } as const;
  const waitMs = (wait.endUs - wait.startUs) / 1_000;
  const error = attempt.error === null ? null : attempt.error.message;
  const within = (ms: number): number => Math.min(Math.max(work.startUs, microseconds(ms)), work.endUs);
  const { extra = [] } = attempt;
  const callEndUs = within(Math.min(attempt.endedAtMs, ...extra.map((one) => one.startedAtMs)));
  const answer = isLast ? answerOf(trace, role) : null;
  const call = callOf(trace, role, answer);
  return [
    {
      ...shared,
      name: `queue.wait ${service}`,
      kind: 'internal',
      spanId: ids.spanId(role, number, 'wait'),
      parentId: rootId,
      ...wait,
      attributes: { ...at, 'cascade.queue.wait_ms': waitMs },
    },
    {
      ...shared,
      name: role,
      kind: 'internal',
      spanId: workId,
      parentId: rootId,
      ...work,
      attributes: at,
      events: role === 'draft' && isLast ? draftEvents(trace, within(attempt.endedAtMs)) : [],
      error,
    },
    {
      ...shared,
      name: call.name,
      kind: 'client',
      spanId: ids.spanId(role, number, 'call'),
      parentId: workId,
      startUs: work.startUs,
      endUs: callEndUs,
      attributes: { ...call.attributes, 'error.type': attempt.error?.type ?? null },
      error,
    },
    ...extra.map((one, index): FinishedSpan => ({
      ...shared,
      name: call.name,
      kind: 'client',
      spanId: ids.extraSpanId(number, index),
      parentId: workId,
      startUs: within(one.startedAtMs),
      endUs: Math.max(within(one.startedAtMs), within(one.endedAtMs)),
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'cascade.call.purpose': one.purpose,
        'gen_ai.usage.input_tokens': one.inputTokens,
        'gen_ai.usage.output_tokens': one.outputTokens,
        'error.type': one.error?.type ?? null,
      },
      error: one.error?.message ?? null,
    })),
  ];
}

/** The answer that a tier's last try brought, if any. */
function answerOf({ job, ending }: DocumentTrace, role: Role): Answer | null {
  if (role === 'draft') return endingDraft(job, ending)?.answer ?? null;
  return ending.kind === 'expert' ? ending.answer : null;
}

/** A call as the GenAI conventions describe it (semantic-conventions 1.38, in development: the names are ours to keep). */
function callOf(trace: DocumentTrace, role: Role, answer: Answer | null): { name: string; attributes: SpanAttributes } {
  const { job, content } = trace;
  const endpoint = ENDPOINTS[job.endpoint];
  const configured = role === 'draft' ? job.rules.drafter : job.rules.expert;
  const named = trace.models(configured);
  const completion = answer === null ? null : endpoint.read(answer.body, job.body);
  return {
    name: `${endpoint.operation} ${named?.model ?? configured}`,
    attributes: {
      'gen_ai.operation.name': endpoint.operation,
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': named?.model ?? configured,
      'gen_ai.request.max_tokens': numberOf(job.body, 'max_completion_tokens', 'max_tokens', 'max_output_tokens'),
      'gen_ai.request.temperature': numberOf(job.body, 'temperature'),
      'server.address': named?.address ?? null,
      'server.port': named?.port ?? null,
      'http.response.status_code': answer?.status ?? null,
      ...(completion === null ? {} : saidOf(completion)),
      ...(content
        ? {
            'gen_ai.input.messages': JSON.stringify(
              job.body['messages'] ?? job.body['input'] ?? job.body['prompt'] ?? null,
            ),
            'gen_ai.output.messages': completion?.text ?? null,
          }
        : {}),
    },
  };
}

function saidOf({ id, model, finishReason, usage }: Completion): SpanAttributes {
  return {
    'gen_ai.response.id': id,
    'gen_ai.response.model': model,
    'gen_ai.response.finish_reasons': finishReason === null ? null : [finishReason],
    'gen_ai.usage.input_tokens': usage.inputTokens,
    'gen_ai.usage.output_tokens': usage.outputTokens,
  };
}

function numberOf(body: JsonObject, ...names: readonly string[]): number | null {
  for (const name of names) {
    const value = body[name];
    if (typeof value === 'number') return value;
  }
  return null;
}

/** What was made of the draft, and when the document went on. */
function draftEvents({ job, ending }: DocumentTrace, atUs: number): SpanEvent[] {
  const draft = endingDraft(job, ending);
  if (draft === null) return [];
  const isEscalated = ending.kind !== 'accepted';
  const evaluation: SpanEvent = {
    name: 'gen_ai.evaluation.result',
    atUs,
    attributes: {
      'gen_ai.evaluation.name': job.rules.confidence.signal.name,
      'gen_ai.evaluation.score.value': draft.confidence,
      'gen_ai.evaluation.score.label': isEscalated ? 'escalated' : 'accepted',
      'gen_ai.evaluation.explanation': isEscalated ? (job.draft?.reason ?? null) : null,
    },
  };
  return isEscalated ? [evaluation, { name: 'hand_over', atUs, attributes: {} }] : [evaluation];
}

function rootAttributes({ job, ending }: DocumentTrace): SpanAttributes {
  const draft = endingDraft(job, ending);
  const { sequentialMs, totalMs } = timesOf(wayOf(job, ending));
  const isEscalated = ending.kind !== 'accepted' && job.draft !== null;
  return {
    'cascade.batch.id': job.batch,
    'cascade.document.id': job.customId,
    'cascade.name': job.cascade,
    'cascade.tier.final': isEscalated ? 'expert' : 'draft',
    'cascade.escalated': isEscalated,
    'cascade.escalation.reason': isEscalated ? (job.draft?.reason ?? null) : null,
    'cascade.confidence.signal': job.rules.confidence.signal.name,
    'cascade.confidence.score': draft?.score ?? null,
    'cascade.confidence.value': draft?.confidence ?? null,
    'cascade.confidence.threshold': job.rules.acceptAt,
    'cascade.sequential_wait_ms': sequentialMs,
    'cascade.sequential_wait_share': sequentialMs === null || totalMs === 0 ? null : sequentialMs / totalMs,
  };
}

function failureOf(ending: Ending): string | null {
  if (ending.kind === 'failed') return ending.error.code;
  if (ending.kind === 'expert' && ending.answer.status >= 300) return `status ${ending.answer.status}`;
  return null;
}
