import {
  decideFault,
  isUnderstood,
  refusalsOf,
  traceparentOf,
  type Answer,
  type Completion,
  type DocumentJob,
  type ExtraCall,
  type Fault,
  type GateCall,
  type JsonObject,
  type NoAnswer,
  type Role,
  type TryError,
} from '@spillway/core';
import type { ServedModel, StopReason } from '@spillway/runtime';
import { askAlone } from './alone.ts';
import { openModel, type Attempt, type ModelClient, type ModelNotice, type ModelOptions } from './client.ts';

type Span = { readonly startedAtMs: number; readonly endedAtMs: number };

/** What came of asking a tier's model about a document. */
export type Asked =
  | ({ readonly kind: 'answered'; readonly completion: Completion; readonly answer: Answer } & Span)
  /** The model called the request itself wrong (a 4xx). */
  | ({ readonly kind: 'rejected'; readonly answer: Answer; readonly why: TryError } & Span)
  /** Every try was used up; with the last answer when there was one over HTTP. */
  | ({
      readonly kind: 'exhausted';
      readonly answer: Answer | null;
      readonly error: NoAnswer;
      readonly why: TryError;
    } & Span)
  | ({ readonly kind: 'again'; readonly afterMs: number; readonly tries: number; readonly why: TryError } & Span)
  | ({ readonly kind: 'gate' } & GateCall)
  | { readonly kind: 'stopped'; readonly reason: StopReason };

type TierOptions = {
  readonly model: ModelOptions;
  readonly timeoutMs: number;
  readonly maxTries: number;
  readonly role: Role;
  /** Whether model servers are told which trace a call belongs to. */
  readonly propagates: boolean;
  readonly onCall: (call: TierCall) => void;
};

/** A call of a tier's model that is over, and was not given up. */
export type TierCall = {
  readonly role: Role;
  readonly model: string;
  readonly ms: number;
  readonly error: string | null;
};

export type AskOptions = {
  readonly signal: AbortSignal;
  readonly topLogprobs: number;
  /** How often a worker vanished while it held this document. */
  readonly stalls: number;
  /** Called when the server shows that it works, whatever it says of the request. */
  readonly heard?: () => void;
};

/** A further call about a draft: the request, and which one it is. */
export type Beside = { readonly body: JsonObject; readonly purpose: ExtraCall['purpose']; readonly extra: number };

export type SaidBeside =
  | { readonly kind: 'said'; readonly completion: Completion; readonly body: JsonObject; readonly call: ExtraCall }
  | { readonly kind: 'failed'; readonly call: ExtraCall }
  | Extract<Asked, { kind: 'gate' | 'stopped' }>;

/** A document that twice was with a worker that vanished is asked in a process of its own. */
const STALLS_BEFORE_ALONE = 2;

/** A tier for a model as it is configured. A drafter's answers are scored, so it asks for log-probs. */
export function openTier(
  { spec, apiKey }: ServedModel,
  tier: Pick<TierOptions, 'role' | 'propagates' | 'onCall'> & { readonly onNotice?: (notice: ModelNotice) => void },
): ModelTier {
  const timeoutMs = spec.timeout_s * 1000;
  const model = { baseURL: spec.base_url, model: spec.model, apiKey, timeoutMs, connections: spec.concurrency };
  const { onNotice, ...kept } = tier;
  const client = openModel(onNotice === undefined ? model : { ...model, onNotice });
  return new ModelTier(client, { model, timeoutMs, maxTries: spec.max_tries, ...kept });
}

/** A model in one role: asks it about documents and decides, by the failure table, what a failure means. */
export class ModelTier implements AsyncDisposable {
  readonly #client: ModelClient;
  readonly #options: TierOptions;

  constructor(client: ModelClient, options: TierOptions) {
    this.#client = client;
    this.#options = options;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async ask(job: DocumentJob, options: AskOptions): Promise<Asked> {
    const made = await this.#call(job, options, {
      body: job.body,
      extra: null,
      logprobs: this.#options.role === 'draft',
    });
    return made === null ? { kind: 'stopped', reason: 'expired' } : this.#judge(made, job);
  }

  /** Asks what a draft is judged by, beside the draft's own call: it has no tries of its own. */
  async askBeside(job: DocumentJob, options: AskOptions, beside: Beside): Promise<SaidBeside> {
    const made = await this.#call(job, options, { ...beside, logprobs: beside.purpose === 'self_assessment' });
    if (made === null) return { kind: 'stopped', reason: 'expired' };
    const { purpose } = beside;
    if (made.kind === 'completed') {
      this.#measure(made, null);
      const { startedAtMs, endedAtMs, completion, body } = made;
      const { inputTokens, outputTokens } = completion.usage;
      const call: ExtraCall = { purpose, startedAtMs, endedAtMs, error: null, inputTokens, outputTokens };
      return { kind: 'said', completion, body, call };
    }
    const asked = this.#judge(made, { ...job, tries: Number.MAX_SAFE_INTEGER - 1 });
    if (asked.kind === 'gate' || asked.kind === 'stopped') return asked;
    const why = asked.kind === 'answered' ? null : asked.why;
    const { startedAtMs, endedAtMs } = asked;
    return { kind: 'failed', call: { purpose, startedAtMs, endedAtMs, error: why, inputTokens: 0, outputTokens: 0 } };
  }

  /** Null: the document's time is over. */
  async #call(
    job: DocumentJob,
    options: AskOptions,
    { body, extra, logprobs }: { readonly body: JsonObject; readonly extra: number | null; readonly logprobs: boolean },
  ): Promise<Attempt | null> {
    const leftMs = job.deadlineMs - Date.now();
    if (leftMs <= 0) return null;
    const { role, propagates } = this.#options;
    const place = { attempt: job.attempts.length + 1, extra, sampled: job.sampled };
    const call = {
      endpoint: job.endpoint,
      body,
      logprobs,
      topLogprobs: options.topLogprobs,
      timeoutMs: Math.min(this.#options.timeoutMs, leftMs),
      signal: options.signal,
      ...(propagates ? { traceparent: traceparentOf(job, role, place) } : {}),
    };
    const alone = options.stalls >= STALLS_BEFORE_ALONE;
    const made = alone ? await askAlone(this.#options.model, call) : await this.#client.complete(call);
    if (made.kind === 'completed' || (made.kind === 'failed' && isUnderstood(made.fault))) options.heard?.();
    return made;
  }

  #measure({ startedAtMs, endedAtMs }: Span, error: string | null): void {
    const { role, model, onCall } = this.#options;
    onCall({ role, model: model.model, ms: endedAtMs - startedAtMs, error });
  }

  #judge(attempt: Attempt, job: DocumentJob): Asked {
    if (attempt.kind === 'aborted') return { kind: 'stopped', reason: stopReason(attempt.reason) };
    const { startedAtMs, endedAtMs } = attempt;
    this.#measure(attempt, attempt.kind === 'failed' ? whyOf(attempt.fault).type : null);
    if (attempt.kind === 'completed') {
      const { status, requestId, body, completion } = attempt;
      const answer = { status, requestId, body, usage: completion.usage };
      return { kind: 'answered', completion, answer, startedAtMs, endedAtMs };
    }
    const tries = job.tries + 1;
    const { maxTries } = this.#options;
    const refusals = refusalsOf(job);
    const decision = decideFault(attempt.fault, { tries, maxTries, refusals, jitter: Math.random() });
    if (decision.kind === 'gate') return decision;
    const why = whyOf(attempt.fault);
    if (decision.kind === 'again') {
      return { kind: 'again', afterMs: decision.afterMs, tries, why, startedAtMs, endedAtMs };
    }
    const answer = answerOf(attempt.fault);
    if (decision.rejected && answer !== null) return { kind: 'rejected', answer, why, startedAtMs, endedAtMs };
    return { kind: 'exhausted', answer, error: errorOf(attempt.fault), why, startedAtMs, endedAtMs };
  }
}

function stopReason(reason: unknown): StopReason {
  return reason === 'cancelled' || reason === 'expired' ? reason : 'shutdown';
}

function answerOf(fault: Fault): Answer | null {
  if (fault.kind !== 'http') return null;
  const usage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };
  return { status: fault.status, requestId: fault.requestId, body: fault.body, usage };
}

/** A fault in short; what the server said in an answer that is none may be content, so it stays out. */
function whyOf(fault: Fault): TryError {
  if (fault.kind === 'http') return { type: String(fault.status), message: `status ${fault.status}` };
  return { type: fault.kind, message: fault.kind === 'garbled' ? 'an answer that is no completion' : fault.message };
}

function errorOf(fault: Fault): NoAnswer {
  if (fault.kind === 'http') return { code: 'server_error', message: `The model server answered ${fault.status}.` };
  const code = fault.kind === 'timeout' ? 'request_timeout' : 'server_error';
  return { code, message: fault.message };
}
