import {
  applySettings,
  decideFault,
  ENDPOINTS,
  isUnderstood,
  mergeSettings,
  NO_SETTINGS,
  NO_USAGE,
  tierName,
  traceparentOf,
  type Answer,
  type AttemptError,
  type Completion,
  type Configuration,
  type DocumentJob,
  type ExtraCall,
  type Fault,
  type Hold,
  type JsonObject,
  type NoAnswer,
  type RequestSettings,
  type Role,
} from '@spillway/core';
import {
  askIsolated,
  openModel,
  type Attempt,
  type KnownRefusals,
  type ModelClient,
  type ModelNotice,
  type OnEvent,
} from '@spillway/models';
import type { ServedModel, StopReason } from '@spillway/runtime';

type Span = { readonly startedAtMs: number; readonly endedAtMs: number };

/** A call that brought nothing and used no attempt: the fault is not the document's. */
export type Held = Hold & Span & { readonly why: AttemptError };

/** What came of one attempt at a document. */
export type Asked =
  | ({ readonly kind: 'answered'; readonly completion: Completion; readonly answer: Answer } & Span)
  /** The model called the request itself wrong (a 4xx). */
  | ({ readonly kind: 'rejected'; readonly answer: Answer; readonly why: AttemptError } & Span)
  /** Every attempt was used up; with the last answer when there was one over HTTP. */
  | ({
      readonly kind: 'exhausted';
      readonly answer: Answer | null;
      readonly error: NoAnswer;
      readonly why: AttemptError;
    } & Span)
  | ({
      readonly kind: 'retry';
      readonly afterMs: number;
      readonly usedAttempts: number;
      readonly why: AttemptError;
    } & Span)
  | ({ readonly kind: 'hold' } & Held)
  | { readonly kind: 'stopped'; readonly reason: StopReason };

/** A call of a stage's model that is over, and was not given up. */
export type ModelCallFacts = {
  /** As its server knows it. */
  readonly model: string;
  readonly tier: string;
  readonly role: Role;
  readonly ms: number;
  readonly error: string | null;
};

export type { OnEvent } from '@spillway/models';

/** How one attempt at a document is made. */
export type AttemptOptions = {
  /** Aborted with a StopReason when the call is to be given up. */
  readonly signal: AbortSignal;
  /** How often a worker vanished while it held this document. */
  readonly stalls: number;
  /** Called when the server shows that it works, whatever it says of the request. */
  readonly onAnswered?: () => void;
  /** Has the last stage's answer streamed: called with each event of the server as it comes. */
  readonly onEvent?: OnEvent;
};

/** A further call about a draft: its request, the fields that it set for its own purpose, and which one it is. */
export type ExtraRequest = {
  readonly body: JsonObject;
  readonly own: readonly string[];
  readonly purpose: ExtraCall['purpose'];
  readonly index: number;
};

export type ExtraAnswer =
  | { readonly kind: 'answered'; readonly completion: Completion; readonly body: JsonObject; readonly call: ExtraCall }
  | { readonly kind: 'failed'; readonly call: ExtraCall }
  | Extract<Asked, { kind: 'hold' | 'stopped' }>;

/** A document that twice was with a worker that vanished is asked about in a process of its own. */
const MAX_SHARED_STALLS = 2;

export type StageModelOptions = {
  readonly role: Role;
  /** The cascades, whose stages may change the requests to their models. */
  readonly configuration: Pick<Configuration, 'cascades'>;
  /** Whether model servers are told which trace a call belongs to. */
  readonly propagates: boolean;
  readonly onCall: (call: ModelCallFacts) => void;
  readonly onNotice?: (notice: ModelNotice) => void;
};

/** Opens a model in one role, as it is configured. A drafter's answers are judged, so it is asked for log-probs. */
export function openStageModel(served: ServedModel, options: StageModelOptions): StageModel {
  return new StageModel(served, options);
}

/** A model in one role: asks it about documents and decides, by the failure table, what a failure means. */
export class StageModel implements AsyncDisposable {
  readonly #served: ServedModel;
  readonly #options: StageModelOptions;
  readonly #client: ModelClient;
  readonly #settings: ReadonlyMap<string, RequestSettings>;
  readonly #ownSettings: RequestSettings;

  constructor(served: ServedModel, options: StageModelOptions) {
    this.#served = served;
    this.#options = options;
    const { onNotice } = options;
    this.#client = openModel({ ...this.#modelOptions, ...(onNotice === undefined ? {} : { onNotice }) });
    this.#ownSettings = mergeSettings(served.spec, NO_SETTINGS);
    this.#settings = new Map(
      Object.entries(options.configuration.cascades).flatMap(([cascade, { stages }]) =>
        stages
          .filter(({ model }) => model === served.name)
          .map((stage) => [cascade, mergeSettings(served.spec, stage)] as const),
      ),
    );
  }

  get #modelOptions() {
    const { spec, apiKey } = this.#served;
    const timeoutMs = spec.timeout_s * 1000;
    return { baseURL: spec.base_url, model: spec.model, apiKey, timeoutMs, connections: spec.concurrency };
  }

  get role(): Role {
    return this.#options.role;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  /** Spares the server what a check saw it refuse. */
  know(refused: KnownRefusals): void {
    this.#client.know(refused);
  }

  /** Asks for the answer to a document. */
  async ask(job: DocumentJob, options: AttemptOptions & { readonly topLogprobs: number }): Promise<Asked> {
    const attempt = await this.#call(job, options, {
      body: job.body,
      own: [],
      index: null,
      logprobs: this.role === 'drafter',
    });
    return attempt === null ? { kind: 'stopped', reason: 'expired' } : this.#judge(attempt, job);
  }

  /** Asks what a draft is judged by, beside the draft's own call: it has no attempts of its own. */
  async askExtra(
    job: DocumentJob,
    options: AttemptOptions & { readonly topLogprobs: number },
    request: ExtraRequest,
  ): Promise<ExtraAnswer> {
    const { purpose } = request;
    const attempt = await this.#call(job, options, { ...request, logprobs: purpose === 'self_assessment' });
    if (attempt === null) return { kind: 'stopped', reason: 'expired' };
    if (attempt.kind === 'completed') {
      this.#measure(attempt, null);
      const { startedAtMs, endedAtMs, completion, body } = attempt;
      const { inputTokens, outputTokens } = completion.usage;
      const call: ExtraCall = { purpose, startedAtMs, endedAtMs, error: null, inputTokens, outputTokens };
      return { kind: 'answered', completion, body, call };
    }
    const asked = this.#judge(attempt, { ...job, usedAttempts: Number.MAX_SAFE_INTEGER - 1 });
    if (asked.kind === 'hold' || asked.kind === 'stopped') return asked;
    const error = asked.kind === 'answered' ? null : asked.why;
    const { startedAtMs, endedAtMs } = asked;
    return { kind: 'failed', call: { purpose, startedAtMs, endedAtMs, error, inputTokens: 0, outputTokens: 0 } };
  }

  /** Null: the document's time is over. */
  async #call(
    job: DocumentJob,
    options: AttemptOptions & { readonly topLogprobs: number },
    request: Pick<ExtraRequest, 'body' | 'own'> & { readonly index: number | null; readonly logprobs: boolean },
  ): Promise<Attempt | null> {
    const leftMs = job.deadlineMs - Date.now();
    if (leftMs <= 0) return null;
    const { signal, stalls, onAnswered, onEvent, topLogprobs } = options;
    const place = { stage: job.stage, attempt: job.attempts.length + 1, extra: request.index, sampled: job.sampled };
    const call = {
      endpoint: job.endpoint,
      body: this.#prepare(job, request),
      logprobs: request.logprobs,
      topLogprobs,
      timeoutMs: Math.min(this.#modelOptions.timeoutMs, leftMs),
      signal,
      ...(this.#options.propagates ? { traceparent: traceparentOf(job, place) } : {}),
      ...(onEvent === undefined || request.index !== null ? {} : { onEvent }),
    };
    const attempt =
      stalls >= MAX_SHARED_STALLS ? await askIsolated(this.#modelOptions, call) : await this.#client.complete(call);
    if (attempt.kind === 'completed' || (attempt.kind === 'failed' && isUnderstood(attempt.fault))) onAnswered?.();
    return attempt;
  }

  /** The client's request as this model's server is to get it. */
  #prepare({ cascade, endpoint }: DocumentJob, { body, own }: Pick<ExtraRequest, 'body' | 'own'>): JsonObject {
    const settings = this.#settings.get(cascade) ?? this.#ownSettings;
    const spoken = settings.system === null ? body : ENDPOINTS[endpoint].withSystem(body, settings.system);
    return applySettings(spoken, endpoint, settings, own);
  }

  #measure({ startedAtMs, endedAtMs }: Span, error: string | null): void {
    const { name, spec } = this.#served;
    const { role, onCall } = this.#options;
    onCall({ model: spec.model, tier: tierName(role, name), role, ms: endedAtMs - startedAtMs, error });
  }

  #judge(attempt: Attempt, job: DocumentJob): Asked {
    if (attempt.kind === 'aborted') return { kind: 'stopped', reason: stopReason(attempt.reason) };
    const { startedAtMs, endedAtMs } = attempt;
    this.#measure(attempt, attempt.kind === 'failed' ? errorOf(attempt.fault).type : null);
    if (attempt.kind === 'completed') {
      const { status, requestId, body, completion } = attempt;
      const answer = { status, requestId, body, usage: completion.usage };
      return { kind: 'answered', completion, answer, startedAtMs, endedAtMs };
    }
    const usedAttempts = job.usedAttempts + 1;
    const decision = decideFault(attempt.fault, {
      usedAttempts,
      maxAttempts: this.#served.spec.max_attempts,
      refusals: job.refused?.times ?? 0,
      jitter: Math.random(),
    });
    const why = errorOf(attempt.fault);
    if (decision.kind === 'hold') return { ...decision, why, startedAtMs, endedAtMs };
    if (decision.kind === 'retry') {
      return { kind: 'retry', afterMs: decision.afterMs, usedAttempts, why, startedAtMs, endedAtMs };
    }
    const answer = answerOf(attempt.fault);
    if (decision.rejected && answer !== null) return { kind: 'rejected', answer, why, startedAtMs, endedAtMs };
    return { kind: 'exhausted', answer, error: noAnswerOf(attempt.fault), why, startedAtMs, endedAtMs };
  }
}

function stopReason(reason: unknown): StopReason {
  return reason === 'cancelled' || reason === 'expired' ? reason : 'shutdown';
}

function answerOf(fault: Fault): Answer | null {
  if (fault.kind !== 'http') return null;
  return { status: fault.status, requestId: fault.requestId, body: fault.body, usage: NO_USAGE };
}

/** A fault in short; what the server said in an answer that is none may be content, so it stays out. */
function errorOf(fault: Fault): AttemptError {
  if (fault.kind === 'http') return { type: String(fault.status), message: `status ${fault.status}` };
  return { type: fault.kind, message: fault.kind === 'garbled' ? 'an answer that is no completion' : fault.message };
}

function noAnswerOf(fault: Fault): NoAnswer {
  if (fault.kind === 'http') return { code: 'server_error', message: `The model server answered ${fault.status}.` };
  const code = fault.kind === 'timeout' ? 'request_timeout' : 'server_error';
  return { code, message: fault.message };
}
