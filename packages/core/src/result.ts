import { NO_USAGE, type Counts, nanoUsd } from './account.ts';
import type { Usage } from './completion.ts';
import { resultLineId } from './ids.ts';
import type { Answer, DocumentJob, Draft, NoAnswer } from './job.ts';
import type { PageLine } from './pages.ts';

/** How a document ended. */
export type Ending =
  | { readonly kind: 'accepted'; readonly draft: AcceptedDraft }
  | { readonly kind: 'expert'; readonly answer: Answer; readonly startedAtMs: number; readonly endedAtMs: number }
  | {
      readonly kind: 'failed';
      readonly error: NoAnswer;
      readonly startedAtMs: number | null;
      readonly endedAtMs: number;
    };

export type AcceptedDraft = Omit<Draft, 'reason' | 'answer' | 'confidence'> & {
  readonly answer: Answer;
  readonly confidence: number;
};

/** A document's result as it is kept in its page until that is sealed. */
export type Result = { readonly line: PageLine; readonly counts: Partial<Counts> };

/**
 * Line separators that JSON leaves as they are and that some line readers (Python's `splitlines`) take for line ends.
 */
const separators: Readonly<Record<string, string>> = { '\u2028': '\\u2028', '\u2029': '\\u2029', '\u0085': '\\u0085' };

/** JSON on one line, whoever reads it. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(/[\u2028\u2029\u0085]/g, (found) => separators[found] as string);
}

/** The result of a document that came to its end in a tier. */
export function resultOf(job: DocumentJob, ending: Ending): Result {
  const answer = ending.kind === 'accepted' ? ending.draft.answer : ending.kind === 'expert' ? ending.answer : null;
  const ok = answer !== null && answer.status < 300;
  const text = jsonLine({
    id: resultLineId(job.batch, job.document),
    custom_id: job.customId,
    response: answer === null ? null : responseOf(answer),
    error: ending.kind === 'failed' ? ending.error : null,
    ...(job.rules.annotate ? { cascade: describe(job, ending) } : {}),
  });
  return { line: { part: ok ? 'output' : 'error', text }, counts: countsOf(job, ending, ok) };
}

/** The result of a document whose batch ended first. */
export function unfinishedLine(batch: string, document: number, customId: string, why: NoAnswer): PageLine {
  const { code, message } = why;
  const line = { id: resultLineId(batch, document), custom_id: customId, response: null, error: { code, message } };
  return { part: 'error', text: jsonLine(line) };
}

/** The result of a document that waited for the expert when its batch's time ran out, where the cascade wants the draft. */
export function uncertifiedDraft(job: DocumentJob, draft: Draft, answer: Answer): Result {
  const text = jsonLine({
    id: resultLineId(job.batch, job.document),
    custom_id: job.customId,
    response: responseOf(answer),
    error: null,
    ...(job.rules.annotate ? { cascade: describeUncertified(job, draft) } : {}),
  });
  const usage = tokens('draft', answer.usage, job.rules.draftPrice);
  return { line: { part: 'output', text }, counts: { completed: 1, escalated: 1, ...usage } };
}

function describeUncertified(job: DocumentJob, draft: Draft) {
  return {
    name: job.cascade,
    tier: 'draft',
    certified: false,
    confidence: draft.confidence,
    score: draft.score,
    signal: job.rules.signal,
    threshold: job.rules.acceptAt,
    escalated: true,
    reason: draft.reason,
    drafter: tierReport(draft.model, draft.answer?.usage ?? null, draft),
    expert: null,
    wait_ms: { drafter_queue: waited(job.fedAtMs, draft.startedAtMs) },
  };
}

const responseOf = (answer: Answer) => ({
  status_code: answer.status,
  request_id: answer.requestId ?? '',
  body: answer.body,
});

/** Clocks of two machines differ: a wait is never negative. */
const waited = (from: number, to: number): number => Math.max(0, Math.round(to - from));

function tierReport(model: string, usage: Usage | null, span: { startedAtMs: number; endedAtMs: number } | null) {
  return {
    model,
    duration_ms: span === null ? null : waited(span.startedAtMs, span.endedAtMs),
    input_tokens: usage?.inputTokens ?? 0,
    output_tokens: usage?.outputTokens ?? 0,
  };
}

/** What was decided for a document and why: the `cascade` key of its line. */
function describe(job: DocumentJob, ending: Ending) {
  const draft = ending.kind === 'accepted' ? ending.draft : job.draft;
  const span =
    ending.kind === 'accepted' || ending.startedAtMs === null
      ? null
      : { startedAtMs: ending.startedAtMs, endedAtMs: ending.endedAtMs };
  const escalated = ending.kind !== 'accepted' && job.draft !== null;
  const usage = ending.kind === 'expert' ? ending.answer.usage : null;
  return {
    name: job.cascade,
    tier: escalated ? 'expert' : 'draft',
    confidence: draft?.confidence ?? null,
    score: draft?.score ?? null,
    signal: job.rules.signal,
    threshold: job.rules.acceptAt,
    escalated,
    reason: escalated ? (job.draft?.reason ?? null) : null,
    drafter: draft === null ? null : tierReport(draft.model, draft.answer?.usage ?? null, draft),
    expert: escalated ? tierReport(job.rules.expert, usage, span) : null,
    wait_ms: waitsOf(job, draft, span?.startedAtMs ?? null, ending),
  };
}

/**
 * Milliseconds a document waited, and where. `hand_over` ends when the expert's job exists; `sequential` runs from
 * feeding until the expert's call starts.
 */
function waitsOf(
  job: DocumentJob,
  draft: { startedAtMs: number; endedAtMs: number } | null,
  expertStartedAtMs: number | null,
  ending: Ending,
) {
  const endedAtMs = ending.kind === 'accepted' ? ending.draft.endedAtMs : ending.endedAtMs;
  const escalated = job.draft !== null && expertStartedAtMs !== null;
  return {
    drafter_queue: draft === null ? null : waited(job.fedAtMs, draft.startedAtMs),
    hand_over: escalated ? waited(job.draft?.endedAtMs ?? 0, job.waitingSinceMs) : null,
    expert_queue: escalated ? waited(job.waitingSinceMs, expertStartedAtMs) : null,
    sequential: escalated ? waited(job.fedAtMs, expertStartedAtMs) : null,
    total: waited(job.fedAtMs, endedAtMs),
  };
}

function tokens(tier: 'draft' | 'expert', usage: Usage, price: Parameters<typeof nanoUsd>[1]): Partial<Counts> {
  const counts = {
    [`${tier}InputTokens`]: usage.inputTokens,
    [`${tier}CachedTokens`]: usage.cachedTokens,
    [`${tier}OutputTokens`]: usage.outputTokens,
    [`${tier}ReasoningTokens`]: usage.reasoningTokens,
    [`${tier}NanoUsd`]: nanoUsd(usage, price),
  };
  return counts;
}

function countsOf(job: DocumentJob, ending: Ending, ok: boolean): Partial<Counts> {
  const draftAnswer = ending.kind === 'accepted' ? ending.draft.answer : (job.draft?.answer ?? null);
  return {
    [ok ? 'completed' : 'failed']: 1,
    ...(ending.kind === 'accepted' ? { accepted: 1 } : job.draft === null ? {} : { escalated: 1 }),
    ...tokens('draft', draftAnswer?.usage ?? NO_USAGE, job.rules.draftPrice),
    ...(ending.kind === 'expert' ? tokens('expert', ending.answer.usage, job.rules.expertPrice) : {}),
  };
}
