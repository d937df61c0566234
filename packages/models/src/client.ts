import { deeperThan, ENDPOINTS, isJsonObject, LIMITS, parseJson } from '@spillway/core';
import type { AskedLogprobs, Completion, EndpointUrl, Fault, Json, JsonObject } from '@spillway/core';
import { OpenAI } from 'openai';
import { AnswerStream, type OnEvent } from './answer-stream.ts';
import { faultOf, HttpError, redactor, refusesLogprobs, type Redact } from './fault.ts';
import { openTransport, type TransportInit } from './transport.ts';

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

export type ModelNotice = { readonly kind: 'logprobs_refused'; readonly model: string; readonly status: number };

export type ModelCall = {
  readonly endpoint: EndpointUrl;
  /** The request as this server is to get it, but for how log-probs and a stream are asked for. */
  readonly body: JsonObject;
  readonly logprobs: boolean;
  readonly topLogprobs?: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly traceparent?: string;
  /**
   * Asks for a stream, and is called with the data of each event as it comes; a server that answers in one piece is
   * taken to have streamed it. An error in mid-stream is no event.
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
      readonly status: 200;
    } & CallTimes)
  | ({ readonly kind: 'failed'; readonly fault: Fault } & CallTimes)
  | { readonly kind: 'aborted'; readonly reason: unknown };

/** What a check of the model saw its server refuse. */
export type KnownRefusals = { readonly logprobs: boolean; readonly alternatives: boolean };

export type ModelClient = AsyncDisposable & {
  complete(call: ModelCall): Promise<Attempt>;
  /** Spares the server what it refuses, for as long as a refusal counts; whoever checked has told of it. */
  know(refused: KnownRefusals): void;
};

/** A refusal may have been about one request only, or about a model since replaced: so it is asked again. */
const REFUSAL_MS = 600_000;

/** A timer that fires so much too late says that the whole process was held: frozen, swapped out, moved elsewhere. */
const LATE_MS = 1_000;

/** Timers above this fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function openModel(options: ModelOptions): ModelClient {
  return new OpenAiModel(options);
}

/** The SDK, except that an error keeps its body as it is. */
class Sdk extends OpenAI {
  protected override makeStatusError(status: number, error: unknown, message: string | undefined, headers: Headers) {
    return new HttpError(status, error ?? message ?? '', headers);
  }
}

type Answer =
  | {
      readonly kind: 'completed';
      readonly completion: Completion;
      readonly body: JsonObject;
      readonly requestId: string | null;
    }
  | { readonly kind: 'failed'; readonly fault: Fault }
  | { readonly kind: 'aborted'; readonly reason: unknown };

class OpenAiModel implements ModelClient {
  readonly #options: ModelOptions;
  readonly #transport;
  readonly #sdk: Sdk;
  readonly #redact: Redact;
  #refusedUntilMs = 0;
  #alternativesRefusedUntilMs = 0;
  #hasGivenLogprobs = false;
  #hasNotedRefusal = false;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.#redact = redactor(options.apiKey);
    this.#transport = openTransport({ ...options, origin: new URL(options.baseURL).origin });
    this.#sdk = new Sdk({
      baseURL: options.baseURL,
      fetch: this.#transport.fetch,
      maxRetries: 0,
      logLevel: 'off',
      /** The SDK wants one and would look into the environment; the transport sends the real one. */
      apiKey: 'in-transport',
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
    });
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

  know({ logprobs, alternatives }: KnownRefusals): void {
    const untilMs = performance.now() + REFUSAL_MS;
    if (alternatives) this.#alternativesRefusedUntilMs = untilMs;
    if (!logprobs) return;
    this.#refusedUntilMs = untilMs;
    this.#hasNotedRefusal = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  /** Asks with log-probs; a server that refuses them is asked again without. */
  async #answer(call: ModelCall, deadlineMs: number): Promise<Answer> {
    const wanted = call.logprobs && performance.now() >= this.#refusedUntilMs;
    const top = performance.now() >= this.#alternativesRefusedUntilMs ? (call.topLogprobs ?? 0) : 0;
    const first = await this.#ask(call, { wanted, top }, deadlineMs);
    if (first.kind === 'completed' && first.completion.tokens !== null) this.#hasGivenLogprobs = true;
    if (!wanted || ENDPOINTS[call.endpoint].wantsLogprobs(call.body)) return first;
    if (first.kind !== 'failed' || !refusesLogprobs(first.fault)) return first;
    const second = await this.#ask(call, { wanted: false, top: 0 }, deadlineMs);
    if (second.kind === 'completed' && first.fault.kind === 'http') this.#remember(first.fault.status);
    return second;
  }

  /** That one request fails because of its log-probs says nothing about a server that has given them before. */
  #remember(status: number): void {
    if (this.#hasGivenLogprobs) return;
    this.#refusedUntilMs = performance.now() + REFUSAL_MS;
    if (this.#hasNotedRefusal) return;
    this.#hasNotedRefusal = true;
    this.#options.onNotice?.({ kind: 'logprobs_refused', model: this.#options.model, status });
  }

  async #ask(call: ModelCall, asked: AskedLogprobs, deadlineMs: number): Promise<Answer> {
    const { signal } = call;
    if (signal.aborted) return { kind: 'aborted', reason: signal.reason };
    const leftMs = Math.ceil(deadlineMs - performance.now());
    if (leftMs <= 0) {
      return { kind: 'failed', fault: { kind: 'timeout', message: `no answer within ${call.timeoutMs} ms` } };
    }
    const timeout = Math.min(MAX_TIMER_MS, leftMs);
    const { path, request, stream } = ENDPOINTS[call.endpoint];
    const body = request(call.body, this.#options.model, asked);
    const headers = call.traceparent === undefined ? {} : { traceparent: call.traceparent };
    const answer = call.onEvent === undefined ? null : new AnswerStream(stream.collect(), call.onEvent, signal);
    const options = answer === null ? { body } : { body: { ...body, ...stream.fields }, ...takenBy(answer) };
    try {
      const response = await withSignal(signal, (own) =>
        this.#sdk.post(path, { ...options, headers, signal: own, timeout }).asResponse(),
      );
      if (answer !== null) return this.#readStream(answer, response, call, asked);
      const text = await response.text();
      return this.#read({ value: parseJson(text), text: () => text }, response, call, asked);
    } catch (error) {
      if (signal.aborted) return { kind: 'aborted', reason: signal.reason };
      const fault = faultOf(error, { redact: this.#redact, timeoutMs: call.timeoutMs });
      return fault === null ? { kind: 'aborted', reason: error } : { kind: 'failed', fault };
    }
  }

  #readStream(stream: AnswerStream, response: Response, call: ModelCall, asked: AskedLogprobs): Answer {
    const end = stream.end();
    switch (end.kind) {
      case 'broken':
        return { kind: 'failed', fault: { kind: 'reset', message: 'the stream ended before the answer was whole' } };
      case 'refused':
        return this.#read({ value: undefined, text: () => end.text }, response, call, asked);
      case 'whole':
        return this.#read({ value: end.body, text: () => JSON.stringify(end.body) }, response, call, asked);
      case 'plain': {
        const value = parseJson(end.text);
        const answer = this.#read({ value, text: () => end.text }, response, call, asked);
        if (answer.kind !== 'completed' || !isJsonObject(value)) return answer;
        const { events } = ENDPOINTS[call.endpoint].stream;
        // The answer is whole, and held anyway: nobody is waited for.
        for (const { data } of events(value, WITH_USAGE)) void call.onEvent?.(data);
        return answer;
      }
    }
  }

  #read(
    { value, text }: { readonly value: Json | undefined; readonly text: () => string },
    response: Response,
    call: ModelCall,
    asked: AskedLogprobs,
  ): Answer {
    const said = isJsonObject(value) ? value : null;
    const endpoint = ENDPOINTS[call.endpoint];
    const completion = endpoint.read(said, call.body);
    const body = said === null ? null : endpoint.answer(said, call.body, asked);
    if (body === null || completion === null || deeperThan(body, LIMITS.jsonDepth)) {
      const begin = JSON.stringify(this.#redact(text()).slice(0, 200));
      const message = `${response.status} with a body that is no completion: ${begin}`;
      return { kind: 'failed', fault: { kind: 'garbled', status: response.status, message } };
    }
    return { kind: 'completed', completion, body, requestId: response.headers.get('x-request-id') };
  }
}

/** A stream is asked for with its usage, so what came in one piece is shown with it. */
const WITH_USAGE: JsonObject = { stream_options: { include_usage: true } };

/** The SDK gives the transport's own options to its fetch as they are. */
function takenBy(answer: AnswerStream): { readonly fetchOptions: object } {
  const fetchOptions: Pick<TransportInit, 'onChunk'> = { onChunk: answer.push };
  return { fetchOptions };
}

/** The SDK leaves its listeners on the signal that it is given, and the caller's outlives many calls. */
async function withSignal<T>(signal: AbortSignal, run: (own: AbortSignal) => Promise<T>): Promise<T> {
  const own = new AbortController();
  const stop = () => own.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await run(own.signal);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
