import {
  applySettings,
  CONTROL_FIELDS,
  controlRequest,
  ENDPOINTS,
  isUnderstood,
  mergeSettings,
  NO_SETTINGS,
  priorityOf,
  tierName,
  traceparentOf,
  faultReason,
  FIRST_PRIORITY,
  type Configuration,
  type DocumentJob,
  type ExtraCall,
  type JsonObject,
  type ModelFindings,
  type RequestSettings,
  type Role,
  type Usage,
} from '@spillway/core';
import { askIsolated, openModel, type Attempt, type ModelClient } from '@spillway/models';
import type { ServedModel } from '@spillway/runtime';
import type { Asked, AttemptOptions, ExtraAnswer, ExtraRequest, ModelCallFacts, Span, Watching } from './asked.ts';
import { askControl, type ControlOutcome, type ControlQuestion } from './control.ts';
import { CallBreaker } from './call-breaker.ts';
import { DraftWatches } from './draft-watches.ts';
import { askedOf, isInterrupting } from './asked-of.ts';
import { errorOf, withoutUnclosed } from './failed-call.ts';
import { ReadingRate } from './reading-rate.ts';
import type { StageNotice } from './stage-notice.ts';
import { TextWatch } from './text-watch.ts';
import { WritingRate } from './writing-rate.ts';

/** Calls of one letter, whose log-probs are all that they bring. */
const LETTERS: ReadonlySet<ExtraCall['purpose']> = new Set(['self_assessment', 'verdict', 'comparison']);

/** Calls whose answers a drafter's own answer is put together of, and judged by. */
const JUDGED: ReadonlySet<ExtraCall['purpose']> = new Set(['continuation', 'fields']);

/** A document that twice was with a worker that vanished is asked about in a process of its own. */
const MAX_SHARED_STALLS = 2;

export type StageModelOptions = {
  readonly role: Role;
  /** The cascades, whose stages may change the requests to their models. */
  readonly configuration: Pick<Configuration, 'cascades'>;
  /** Whether model servers are told which trace a call belongs to. */
  readonly propagates: boolean;
  readonly onCall: (call: ModelCallFacts) => void;
  readonly onNotice?: (notice: StageNotice) => void;
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
  /** How much the model reads for a request. */
  readonly reading = new ReadingRate();
  readonly #watches = new DraftWatches(this.reading);
  /** How fast the model writes. */
  readonly writing = new WritingRate();
  /** Of calls that verify drafts, or go on from them, or ask for some of their values. */
  readonly drafts: CallBreaker;
  /** Of calls that ask if drafts are right. */
  readonly verdicts: CallBreaker;
  /** What a check found of the server; null: nothing yet. */
  findings: ModelFindings | null = null;

  constructor(served: ServedModel, options: StageModelOptions) {
    this.#served = served;
    this.#options = options;
    const { onNotice } = options;
    this.#client = openModel({ ...this.#modelOptions, ...(onNotice === undefined ? {} : { onNotice }) });
    const { model } = served.spec;
    this.drafts = new CallBreaker((said) => onNotice?.({ kind: 'drafts_paused', model, said }));
    this.verdicts = new CallBreaker((said) => onNotice?.({ kind: 'verdicts_paused', model, said }));
    this.#ownSettings = mergeSettings(served.spec, NO_SETTINGS);
    this.#settings = new Map(
      Object.entries(options.configuration.cascades).flatMap(([cascade, { stages }]) =>
        stages
          .filter((stage) => stage.model === served.name)
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

  /** How many attempts a document has. */
  get maxAttempts(): number {
    return this.#served.spec.max_attempts;
  }

  /** How long a call may take. */
  get timeoutMs(): number {
    return this.#modelOptions.timeoutMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  /** What a check found: spares the server what it refuses, and has drafts streamed where log-probs come with them. */
  know(findings: ModelFindings): void {
    const { refused, said, streamed_log_probs: streams } = findings;
    this.findings = findings;
    this.#client.know({
      logprobs: refused.includes('logprobs'),
      alternatives: refused.includes('top_logprobs'),
      said: said ?? null,
    });
    this.#watches.isStreaming = streams === true;
  }

  /** Whether there is a server at all: why there is none; null: there is one, as far as it can be seen. */
  async look(signal: AbortSignal): Promise<string | null> {
    const fault = await this.#client.look(signal);
    return fault === null ? null : faultReason(fault);
  }

  /**
   * Asks something small that every model can answer, to tell a document's fault from its server's where nobody else is
   * asked about. Null: it was answered, or the request was understood; else whose fault it is that it was not. `full`: the
   * server takes no more now, and says so.
   */
  async askControl({ endpoint, like }: ControlQuestion, signal: AbortSignal): Promise<ControlOutcome> {
    return await askControl(this.#client, {
      endpoint,
      body: applySettings(
        controlRequest(endpoint, Date.now().toString(36), like ?? null),
        endpoint,
        this.#ownSettings,
        CONTROL_FIELDS,
      ),
      logprobs: false,
      ...this.#priority(),
      timeoutMs: this.#modelOptions.timeoutMs,
      signal,
    });
  }

  /** Asks for the answer to a document; `watching`: a draft is given up as soon as it is hopeless. */
  async ask(
    job: DocumentJob,
    { watching, ...options }: AttemptOptions & { readonly topLogprobs: number; readonly watching: Watching | null },
  ): Promise<Asked> {
    const isShared = options.stalls < MAX_SHARED_STALLS;
    const onlyJson = !this.#client.saysNoThoughts;
    const watch = watching === null || !isShared ? null : this.#watches.of(job, { ...watching, onlyJson });
    const attempt = await this.#call(
      job,
      { ...options, ...(watch === null ? {} : { onEvent: watch.onEvent }) },
      { body: job.body, own: [], index: null, logprobs: this.role === 'drafter' },
    );
    if (attempt === null) return { kind: 'stopped', reason: 'expired' };
    const asked = this.#judge(attempt, job);
    if (asked.kind !== 'answered' || watch === null) return asked;
    const stop = attempt.kind === 'completed' && attempt.isStopped === true ? watch.draft.stop : null;
    return this.#watches.account(asked, job, stop);
  }

  /** Asks what a draft is judged by, beside the draft's own call: it has no attempts of its own. */
  async askExtra(
    job: DocumentJob,
    options: AttemptOptions & { readonly topLogprobs: number },
    request: ExtraRequest,
  ): Promise<ExtraAnswer> {
    const { purpose } = request;
    const logprobs = LETTERS.has(purpose) || (JUDGED.has(purpose) && this.role === 'drafter');
    const { onEvent: _client, ...own } = options;
    const watched = request.isEnough === undefined || options.stalls >= MAX_SHARED_STALLS ? null : request.isEnough;
    const text = watched === null ? null : new TextWatch(ENDPOINTS[job.endpoint].stream, watched);
    const calling = { ...own, ...(text === null ? {} : { onEvent: text.onEvent }) };
    const attempt = await this.#call(job, calling, { ...request, logprobs });
    if (attempt === null) return { kind: 'stopped', reason: 'expired' };
    if (attempt.kind === 'completed') {
      this.#measure(attempt, null);
      const { startedAtMs, endedAtMs, completion, body, requestId } = attempt;
      const usage = this.#accounted(attempt, { job, body: request.body, pieces: text?.pieces ?? 0 });
      const { inputTokens, outputTokens } = usage;
      const call: ExtraCall = { purpose, startedAtMs, endedAtMs, error: null, inputTokens, outputTokens };
      const isEstimated = usage !== completion.usage;
      return { kind: 'answered', completion: { ...completion, usage }, body, requestId, call, isEstimated };
    }
    const asked = this.#judge(attempt, job);
    if (asked.kind === 'hold' || asked.kind === 'stopped' || isInterrupting(asked, purpose)) return asked;
    const error = asked.kind === 'answered' ? null : asked.why;
    const { startedAtMs, endedAtMs } = asked;
    return { kind: 'failed', call: { purpose, startedAtMs, endedAtMs, error, inputTokens: 0, outputTokens: 0 } };
  }

  /**
   * What a call took. Of one that was given up its server has not said it yet: what came is counted, and what was read
   * estimated by what other calls read.
   */
  #accounted(
    { completion: { usage }, isStopped = false }: Extract<Attempt, { kind: 'completed' }>,
    { job, body, pieces }: { readonly job: DocumentJob; readonly body: JsonObject; readonly pieces: number },
  ): Usage {
    if (!isStopped || usage.inputTokens > 0) {
      this.reading.note(job, body, usage.inputTokens);
      return usage;
    }
    return { ...usage, inputTokens: this.reading.tokensOf(job, body), outputTokens: pieces };
  }

  /** A document's request as this model's server is to get it, but for what the client adds. */
  prepared(job: DocumentJob): JsonObject {
    return this.#prepare(job, { body: job.body, own: [] });
  }

  /** Null: the document's time is over. */
  async #call(
    job: DocumentJob,
    options: AttemptOptions & { readonly topLogprobs: number },
    request: Pick<ExtraRequest, 'endpoint' | 'body' | 'own'> & {
      readonly index: number | null;
      readonly logprobs: boolean;
    },
  ): Promise<Attempt | null> {
    const leftMs = job.deadlineMs - Date.now();
    if (leftMs <= 0) return null;
    const { signal, stalls, onAnswered, onEvent, topLogprobs, nowMs } = options;
    const number = job.take?.number ?? job.attempts.length + 1;
    const place = { stage: job.stage, attempt: number, extra: request.index, sampled: job.sampled };
    const call = {
      endpoint: request.endpoint ?? job.endpoint,
      body: this.#prepare(job, request),
      logprobs: request.logprobs,
      topLogprobs,
      ...this.#priority(job, nowMs),
      timeoutMs: Math.min(this.#modelOptions.timeoutMs, leftMs),
      signal,
      includesThought: job.body['include_reasoning'] === true,
      ...(this.#options.propagates ? { traceparent: traceparentOf(job, place) } : {}),
      ...(onEvent === undefined ? {} : { onEvent }),
    };
    const attempt =
      stalls >= MAX_SHARED_STALLS ? await askIsolated(this.#modelOptions, call) : await this.#client.complete(call);
    // Its batch's time is over, which says nothing of the server.
    const isOver = attempt.kind === 'failed' && attempt.fault.kind === 'timeout' && leftMs < this.timeoutMs;
    if (isOver) return null;
    if (attempt.kind === 'completed') onAnswered?.('completed');
    if (attempt.kind === 'failed' && isUnderstood(attempt.fault)) onAnswered?.('rejected');
    return this.role === 'expert' ? withoutUnclosed(attempt) : attempt;
  }

  /** The client's request as this model's server is to get it. */
  #prepare(
    { cascade, ...job }: DocumentJob,
    { body, own, endpoint = job.endpoint }: Pick<ExtraRequest, 'endpoint' | 'body' | 'own'>,
  ): JsonObject {
    const settings = this.#settings.get(cascade) ?? this.#ownSettings;
    // What is asked elsewhere was made of a request that has it.
    const isSpoken = settings.system === null || endpoint !== job.endpoint;
    const spoken = isSpoken ? body : ENDPOINTS[endpoint].withSystem(body, settings.system ?? '');
    return applySettings(spoken, endpoint, settings, own);
  }

  /** The place of a call in the server's own queue, if that is told of it; without a time it is before all that can wait. */
  #priority(job?: DocumentJob, nowMs?: number): { readonly priority?: number } {
    const { send_priority: order } = this.#served.spec;
    if (order === undefined) return {};
    if (job === undefined || nowMs === undefined) return { priority: FIRST_PRIORITY };
    return { priority: priorityOf(order, { nowMs, deadlineMs: job.deadlineMs, timeoutMs: this.timeoutMs }) };
  }

  #measure({ startedAtMs, endedAtMs }: Span, error: string | null): void {
    const { name, spec } = this.#served;
    const { role, onCall } = this.#options;
    onCall({ model: spec.model, tier: tierName(role, name), role, ms: endedAtMs - startedAtMs, error });
  }

  #judge(attempt: Attempt, job: DocumentJob): ReturnType<typeof askedOf> {
    if (attempt.kind !== 'aborted') {
      this.#measure(attempt, attempt.kind === 'failed' ? errorOf(attempt.fault).type : null);
    }
    if (attempt.kind === 'completed') this.writing.note(attempt, attempt.completion.usage);
    return askedOf(attempt, job);
  }
}
