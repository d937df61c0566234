import { ENDPOINTS, isJsonObject, ThoughtWatch } from '@spillway/core';
import type { AskedLogprobs, Completion, EndpointUrl, Fault, JsonObject, ReadJson } from '@spillway/core';
import { readJson, runSliced, writeJson } from '@spillway/runtime';
import { ANSWER_LIMITS } from './answer-limits.ts';
import { AnswerStream, type OnEvent } from './answer-stream.ts';
import { faultOf, redactor, type Redact } from './fault.ts';
import { lookForServer } from './look.ts';
import { noCompletion } from './no-completion.ts';
import { lessAsked, Refusals, type Asked, type LessAsked, type RefusedLogprobs, type RefusedPart } from './refusals.ts';
import { Sdk } from './sdk.ts';
import { openTransport, type Transport } from './transport.ts';

export type ModelOptions = {
  readonly baseURL: string;
  /** The name that the model server knows the model by. */
  readonly model: string;
  readonly apiKey: string | null;
  /** What a call usually gets; half of it bounds the making of a connection, a call's own may be shorter. */
  readonly timeoutMs: number;
  /** How many calls at a time: more wait, and waiting counts towards the deadline. */
  readonly connections: number;
  /** Called once per client, so that it can be logged. */
  readonly onNotice?: (notice: ModelNotice) => void;
};

export type ModelNotice = {
  readonly kind: `${RefusedPart}_refused`;
  readonly model: string;
  readonly status: number;
  /** What the server said; null: nothing. */
  readonly said: string | null;
};

/** A notice in words for the log: what follows from it. */
export const noticeMessage = ({ kind }: ModelNotice): string => NOTICES[kind];

const NOTICES: Readonly<Record<ModelNotice['kind'], string>> = {
  logprobs_refused: 'every document will escalate',
  alternatives_refused: 'signals that need alternatives will escalate',
  priority_refused: 'the server takes no priority',
};

export type ModelCall = {
  readonly endpoint: EndpointUrl;
  /** The request as this server is to get it, but for how log-probs and a stream are asked for. */
  readonly body: JsonObject;
  readonly logprobs: boolean;
  readonly topLogprobs?: number;
  /** The request's place in the server's own queue, whatever the body says of it; absent: what the body says. */
  readonly priority?: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly traceparent?: string;
  /** Whether the client's own request asks for what the model thinks; without it the body's `include_reasoning` says so. */
  readonly includesThought?: boolean;
  /**
   * Asks for a stream, and is called with the data of each event as it comes; a server that answers in one piece is
   * taken to have streamed it. An error in mid-stream is no event, and neither is a thought that the text begins with:
   * such an answer is not streamed.
   */
  readonly onEvent?: OnEvent;
};

/** Times are milliseconds since 1970; the end is the start plus a monotonic duration. */
type CallTimes = { readonly startedAtMs: number; readonly endedAtMs: number };

export type Attempt =
  | ({
      readonly kind: 'completed';
      readonly completion: Completion;
      /** As the server said it, without log-probs that the client's own request did not ask for. */
      readonly body: JsonObject;
      readonly requestId: string | null;
      /** What the server said when it refused the log-probs that were asked for; absent: it did not, or said nothing. */
      readonly refusal?: string;
      readonly status: 200;
    } & CallTimes)
  | ({ readonly kind: 'failed'; readonly fault: Fault } & CallTimes)
  | { readonly kind: 'aborted'; readonly reason: unknown };

/** What a check of the model saw its server refuse. */
export type KnownRefusals = Readonly<Record<RefusedLogprobs, boolean>> & {
  /** What the server said to it last; null: nothing. */
  readonly said: string | null;
};

export type ModelClient = AsyncDisposable & {
  complete(call: ModelCall): Promise<Attempt>;
  /** Whether there is a server, without asking its model anything: the fault that says that there is none; else null. */
  look(signal: AbortSignal): Promise<Fault | null>;
  /** Spares the server what it refuses, for as long as a refusal counts; whoever checked has told of it. */
  know(refused: KnownRefusals): void;
};

/** A timer that fires so much too late says that the whole process was held: frozen, swapped out, moved elsewhere. */
const LATE_MS = 1_000;

/** Timers above this fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function openModel(options: ModelOptions): ModelClient {
  return new OpenAiModel(options);
}

type Answer =
  | {
      readonly kind: 'completed';
      readonly completion: Completion;
      readonly body: JsonObject;
      readonly requestId: string | null;
      readonly refusal?: string;
    }
  | { readonly kind: 'failed'; readonly fault: Fault }
  | { readonly kind: 'aborted'; readonly reason: unknown };

class OpenAiModel implements ModelClient {
  readonly #options: ModelOptions;
  readonly #transport: Transport;
  readonly #sdk: Sdk;
  readonly #redact: Redact;
  readonly #refusals: Refusals;
  /** The model has answered with a thought that its prompt began. */
  #opensThoughts = false;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.#redact = redactor(options.apiKey);
    this.#refusals = new Refusals(({ part, status, said }) =>
      options.onNotice?.({ kind: `${part}_refused`, model: options.model, status, said }),
    );
    this.#transport = openTransport({ ...options, origin: new URL(options.baseURL).origin });
    this.#sdk = new Sdk(options.baseURL, this.#transport);
  }

  async complete(call: ModelCall): Promise<Attempt> {
    const startedAtMs = Date.now();
    const startMs = performance.now();
    const answer = await this.#answer(call, startMs + call.timeoutMs);
    if (answer.kind === 'aborted') return answer;
    const tookMs = performance.now() - startMs;
    // This process stood still: the answer may have come in time, and nobody read it.
    const isLate = answer.kind === 'failed' && answer.fault.kind === 'timeout' && tookMs > call.timeoutMs + LATE_MS;
    if (isLate) return { kind: 'aborted', reason: 'this process stood still' };
    const times = { startedAtMs, endedAtMs: startedAtMs + tookMs };
    return answer.kind === 'completed' ? { ...answer, status: 200, ...times } : { ...answer, ...times };
  }

  know(refused: KnownRefusals): void {
    this.#refusals.know(refused);
  }

  async look(signal: AbortSignal): Promise<Fault | null> {
    return await lookForServer(this.#options, this.#redact, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  /** Asks with log-probs and a priority; a server that refuses them, or alternatives, is asked again without. */
  async #answer(call: ModelCall, deadlineMs: number): Promise<Answer> {
    const { logprobs: wanted, topLogprobs: top = 0, priority = null } = call;
    let asked = this.#refusals.asked({ wanted, top, priority });
    for (let less: LessAsked | null = null; ;) {
      const answer = await this.#ask(call, asked, deadlineMs);
      if (answer.kind === 'completed') {
        this.#refusals.noteGiven(answer.completion, asked);
        this.#opensThoughts ||= answer.completion.thought === 'opened';
        if (less !== null) this.#refusals.remember(less);
        const said = less?.part === 'priority' ? null : less?.said;
        const refusal = wanted && !asked.wanted ? (said ?? this.#refusals.said) : null;
        return refusal === null ? answer : { ...answer, refusal };
      }
      less = answer.kind === 'failed' ? lessAsked(answer.fault, asked, call) : null;
      if (less === null) return answer;
      ({ asked } = less);
    }
  }

  async #ask(call: ModelCall, asked: Asked, deadlineMs: number): Promise<Answer> {
    const { signal } = call;
    if (signal.aborted) return { kind: 'aborted', reason: signal.reason };
    const leftMs = Math.ceil(deadlineMs - performance.now());
    if (leftMs <= 0) {
      return { kind: 'failed', fault: { kind: 'timeout', message: `no answer within ${call.timeoutMs} ms` } };
    }
    const { path, request, stream } = ENDPOINTS[call.endpoint];
    const body = withPriority(request(call.body, this.#options.model, asked), call, asked);
    const answer = call.onEvent === undefined ? null : this.#streamOf(call, call.onEvent);
    const written = await writeJson(answer === null ? body : { ...body, ...stream.fields });
    const { traceparent } = call;
    try {
      const response = await this.#sdk.send(path, {
        body: written,
        signal,
        timeoutMs: Math.min(MAX_TIMER_MS, leftMs),
        ...(traceparent === undefined ? {} : { traceparent }),
        ...(answer === null ? {} : { onChunk: answer.push }),
      });
      if (answer !== null) return await this.#readStream(answer, response, call, asked);
      const text = await response.text();
      return await this.#read({ read: await readJson(text, ANSWER_LIMITS), text: () => text }, response, call, asked);
    } catch (error) {
      if (signal.aborted) return { kind: 'aborted', reason: signal.reason };
      const fault = faultOf(error, { redact: this.#redact, timeoutMs: call.timeoutMs });
      return fault === null ? { kind: 'aborted', reason: error } : { kind: 'failed', fault };
    }
  }

  #streamOf({ endpoint, body, signal }: ModelCall, onEvent: OnEvent): AnswerStream {
    const { stream, format } = ENDPOINTS[endpoint];
    const options = { stream, request: body, format: format(body), opensThoughts: this.#opensThoughts };
    return new AnswerStream(stream.collect(), new ThoughtWatch(options), onEvent, signal);
  }

  async #readStream(stream: AnswerStream, response: Response, call: ModelCall, asked: AskedLogprobs): Promise<Answer> {
    const end = await stream.end();
    switch (end.kind) {
      case 'broken':
        return { kind: 'failed', fault: { kind: 'reset', message: 'the stream ended before the answer was whole' } };
      case 'refused':
        return this.#noCompletion(await readJson(end.text, ANSWER_LIMITS), end.text, response);
      case 'whole': {
        const read = { kind: 'json', value: end.body } as const;
        const answer = await this.#read({ read, text: () => JSON.stringify(end.body) }, response, call, asked);
        if (isPlain(answer)) stream.release();
        return answer;
      }
      case 'plain': {
        const read = await readJson(end.text, ANSWER_LIMITS);
        const answer = await this.#read({ read, text: () => end.text }, response, call, asked);
        if (!isPlain(answer) || read.kind !== 'json' || !isJsonObject(read.value)) return answer;
        const { events } = ENDPOINTS[call.endpoint].stream;
        // The answer is whole, and held anyway: nobody is waited for.
        for (const { data } of events(read.value, WITH_USAGE)) void call.onEvent?.(data);
        return answer;
      }
    }
  }

  async #read(
    { read, text }: { readonly read: ReadJson; readonly text: () => string },
    response: Response,
    call: ModelCall,
    asked: AskedLogprobs,
  ): Promise<Answer> {
    const said = read.kind === 'json' && isJsonObject(read.value) ? read.value : null;
    const endpoint = ENDPOINTS[call.endpoint];
    const completion = await runSliced(endpoint.read(said, call.body));
    if (said === null || completion === null) return this.#noCompletion(read, text(), response);
    const { includesThought } = call;
    const client = includesThought === undefined ? call.body : { ...call.body, include_reasoning: includesThought };
    const body = await runSliced(endpoint.answer(said, client, asked));
    return { kind: 'completed', completion, body, requestId: response.headers.get('x-request-id') };
  }

  #noCompletion(read: ReadJson, text: string, response: Response): Answer {
    return { kind: 'failed', fault: noCompletion(read, text, { response, redact: this.#redact }) };
  }
}

/** A request with the call's priority, or with none where that is refused. */
function withPriority(body: JsonObject, call: ModelCall, { priority }: Asked): JsonObject {
  if (call.priority === undefined) return body;
  const { priority: _own, ...others } = body;
  return priority === null ? others : { ...others, priority };
}

/** An answer whose texts have no thought in them; from any other's events its client would get the thought. */
const isPlain = (answer: Answer): boolean => answer.kind === 'completed' && answer.completion.thought === undefined;

/** A stream is asked for with its usage, so what came in one piece is shown with it. */
const WITH_USAGE: JsonObject = { stream_options: { include_usage: true } };
