import { NO_USAGE, type Counts, nanoUsd } from './account.ts';
import { calibrated } from './calibration/index.ts';
import type { Usage } from './completion.ts';
import type { DraftEvidence, FieldScore } from './confidence/index.ts';
import { ENDPOINTS } from './endpoints/index.ts';
import { resultLineId } from './ids.ts';
import { attemptsWith, type Answer, type DocumentJob, type Draft, type NoAnswer } from './job.ts';
import type { PageLine } from './pages.ts';
import { timesOf, type DocumentTimes, type DocumentWay, type TryError } from './times.ts';

/** How a document ended. */
export type Ending =
  | { readonly kind: 'accepted'; readonly draft: AcceptedDraft }
  | {
      readonly kind: 'expert';
      readonly answer: Answer;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      /** Set when the answer is an error of the model server. */
      readonly why?: TryError;
    }
  | {
      readonly kind: 'failed';
      readonly error: NoAnswer;
      readonly why: TryError;
      readonly startedAtMs: number | null;
      readonly endedAtMs: number;
    };

export type AcceptedDraft = Omit<Draft, 'reason' | 'answer' | 'confidence' | 'evidence'> & {
  readonly answer: Answer;
  readonly confidence: number;
};

/** A document's result as it is kept in its page until that is sealed. */
export type Result = { readonly line: PageLine; readonly counts: Partial<Counts>; readonly times: DocumentTimes };

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
  const times = timesOf(wayOf(job, ending));
  const text = jsonLine({
    id: resultLineId(job.batch, job.document),
    custom_id: job.customId,
    response: answer === null ? null : responseOf(answer),
    error: ending.kind === 'failed' ? ending.error : null,
    ...(job.rules.annotate ? { cascade: describe(job, ending, times) } : {}),
  });
  return { line: { part: ok ? 'output' : 'error', text }, counts: countsOf(job, ending, ok), times };
}

/** The result of a document whose batch ended first. */
export function unfinishedLine(batch: string, document: number, customId: string, why: NoAnswer): PageLine {
  const { code, message } = why;
  const line = { id: resultLineId(batch, document), custom_id: customId, response: null, error: { code, message } };
  return { part: 'error', text: jsonLine(line) };
}

/** The result of a document that waited for the expert when its batch's time ran out, where the cascade wants the draft. */
export function uncertifiedDraft(job: DocumentJob, draft: Draft, answer: Answer): Result {
  const times = timesOf({ ...wayOf(job, null), endedAtMs: draft.endedAtMs });
  const text = jsonLine({
    id: resultLineId(job.batch, job.document),
    custom_id: job.customId,
    response: responseOf(answer),
    error: null,
    ...(job.rules.annotate ? { cascade: describeUncertified(job, draft, answer, times) } : {}),
  });
  const usage = tokens('draft', answer.usage, job.rules.draftPrice);
  return { line: { part: 'output', text }, counts: { completed: 1, escalated: 1, ...usage }, times };
}

function describeUncertified(job: DocumentJob, draft: Draft, answer: Answer, times: DocumentTimes) {
  return {
    name: job.cascade,
    tier: 'draft',
    certified: false,
    confidence: draft.confidence,
    score: draft.score,
    signal: job.rules.confidence.signal.name,
    threshold: job.rules.acceptAt,
    escalated: true,
    reason: draft.reason,
    drafter: tierReport(draft.model, answer.usage, times.drafter?.callMs ?? null, draft.attempts.length),
    expert: null,
    wait_ms: waitsOf(times),
  };
}

const responseOf = (answer: Answer) => ({
  status_code: answer.status,
  request_id: answer.requestId ?? '',
  body: answer.body,
});

/** Where a document has been, as its job and its ending say. */
export function wayOf(job: DocumentJob, ending: Ending | null): DocumentWay {
  const { fedAtMs, draft, handedOverAtMs } = job;
  if (ending?.kind === 'accepted') {
    const { attempts, endedAtMs } = ending.draft;
    return { fedAtMs, drafts: attempts, handedOverAtMs: null, experts: [], endedAtMs };
  }
  const drafts = draft?.attempts ?? [];
  if (ending === null || ending.startedAtMs === null) {
    return { fedAtMs, drafts, handedOverAtMs, experts: job.attempts, endedAtMs: ending?.endedAtMs ?? fedAtMs };
  }
  const { startedAtMs, endedAtMs } = ending;
  const experts = attemptsWith(job, { startedAtMs, endedAtMs }, ending.why ?? null);
  return { fedAtMs, drafts, handedOverAtMs, experts, endedAtMs };
}

/** What was drafted of a document: accepted, or handed over with it. */
export const endingDraft = (job: DocumentJob, ending: Ending): AcceptedDraft | Draft | null =>
  ending.kind === 'accepted' ? ending.draft : job.draft;

function tierReport(model: string, usage: Usage | null, callMs: number | null, tries: number) {
  return {
    model,
    duration_ms: callMs === null ? null : Math.round(callMs),
    tries,
    input_tokens: usage?.inputTokens ?? 0,
    output_tokens: usage?.outputTokens ?? 0,
  };
}

/** What was decided for a document and why: the `cascade` key of its line. */
function describe(job: DocumentJob, ending: Ending, times: DocumentTimes) {
  const draft = endingDraft(job, ending);
  const escalated = ending.kind !== 'accepted' && job.draft !== null;
  const usage = ending.kind === 'expert' ? ending.answer.usage : null;
  const { drafter, expert } = times;
  const expertTries = job.attempts.length + (ending.kind === 'accepted' || ending.startedAtMs === null ? 0 : 1);
  return {
    name: job.cascade,
    tier: escalated ? 'expert' : 'draft',
    confidence: draft?.confidence ?? null,
    score: draft?.score ?? null,
    signal: job.rules.confidence.signal.name,
    threshold: job.rules.acceptAt,
    escalated,
    reason: escalated ? (job.draft?.reason ?? null) : null,
    ...(escalated && job.draft?.answer != null ? { draft: shownDraft(job, job.draft) } : {}),
    ...(draft?.fields == null ? {} : { fields: shownFields(job, draft.fields) }),
    drafter:
      draft === null
        ? null
        : tierReport(draft.model, draft.answer?.usage ?? null, drafter?.callMs ?? null, draft.attempts.length),
    expert: escalated ? tierReport(job.rules.expert, usage, expert?.callMs ?? null, expertTries) : null,
    wait_ms: waitsOf(times),
  };
}

/** A draft's text is cut here: it is there to be compared, and the expert's answer is the one that counts. */
const DRAFT_CHARACTERS = 4_000;

/** The draft of an escalated document: what was thrown away, and, where both tiers run, what every signal said of it. */
function shownDraft(job: DocumentJob, { answer, evidence }: Draft): { text: string | null; evidence?: DraftEvidence } {
  const text = ENDPOINTS[job.endpoint].read(answer?.body, job.body)?.text?.slice(0, DRAFT_CHARACTERS) ?? null;
  return evidence === null ? { text } : { text, evidence };
}

/** How sure the drafter was of the values of its JSON answer, least sure first; by JSON pointer. */
const shownFields = (job: DocumentJob, fields: readonly FieldScore[]): Record<string, number> =>
  Object.fromEntries(
    fields.map(({ path, score }) => [path, Math.round((calibrated(job.rules.confidence, score) ?? 0) * 1e4) / 1e4]),
  );

const whole = (ms: number | null | undefined): number | null => (ms == null ? null : Math.round(ms));

/** Milliseconds that a document waited, and where; `sequential` runs from feeding until the expert's first call. */
function waitsOf({ drafter, handOverMs, expert, sequentialMs, totalMs }: DocumentTimes) {
  return {
    drafter_queue: whole(drafter?.queueMs),
    hand_over: whole(handOverMs),
    expert_queue: whole(expert?.queueMs),
    sequential: whole(sequentialMs),
    total: whole(totalMs),
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
  const isAccepted = ending.kind === 'accepted';
  const { draftPrice, expertPrice } = job.rules;
  const draft = (isAccepted ? ending.draft.answer : job.draft?.answer)?.usage ?? NO_USAGE;
  const expert = ending.kind === 'expert' ? ending.answer.usage : null;
  const wasted = isAccepted ? NO_USAGE : draft;
  return {
    [ok ? 'completed' : 'failed']: 1,
    ...(isAccepted ? { accepted: 1 } : job.draft === null ? {} : { escalated: 1 }),
    ...tokens('draft', draft, draftPrice),
    ...(expert === null ? {} : tokens('expert', expert, expertPrice)),
    wastedInputTokens: wasted.inputTokens,
    wastedOutputTokens: wasted.outputTokens,
    wastedNanoUsd: nanoUsd(wasted, draftPrice),
    // What the expert would have read and written for an accepted draft is taken to be what the drafter did.
    allExpertNanoUsd: nanoUsd(expert ?? draft, expertPrice),
  };
}
