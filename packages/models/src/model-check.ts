import {
  beginCheck,
  completeCheck,
  ENDPOINTS,
  isJsonObject,
  parseJson,
  strictJson,
  type BegunCheck,
  type CheckAnswer,
  type CheckedModel,
  type CheckQuestion,
  type CheckSteps,
  type JsonObject,
  type ModelFindings,
} from '@spillway/core';
import { readJson } from '@spillway/runtime';
import { ANSWER_LIMITS } from './answer-limits.ts';
import { faultOf, HttpError, redactor, type Redact } from './fault.ts';
import { EventReader } from './server-events.ts';
import { addressBelow, openTransport, type Transport } from './transport.ts';

export type ModelCheckOptions = CheckedModel & {
  readonly apiKey: string | null;
  /** What a call to this model may take; a call of the check never takes longer than a minute. */
  readonly timeoutMs: number;
  /** A call's body as this model's server is to get it, by the model's settings. */
  readonly prepare: (question: Extract<CheckQuestion, { kind: 'call' }>) => JsonObject;
};

/** By it operators, and servers of tests, tell the calls of a check from those of documents. */
const USER_AGENT = 'spillway-check';

/** A list is short, and the server need not compute anything. */
const MAX_LIST_MS = 5_000;

/** A call of a few tokens, which may wait behind long ones. */
const MAX_CALL_MS = 60_000;

/** A stream of a few tokens, however much a server says with each. */
const MAX_STREAMED = 256 * 1024;

/** Far more than is shown of it, so that what is shown is cut between characters. */
const MAX_SHOWN = 1_000;

/** A key in it is found before it is cut. */
const MAX_REDACTED = 65_536;

/** A check of one model: a handful of small calls, one at a time. */
export class ModelCheck implements AsyncDisposable {
  readonly #options: ModelCheckOptions;
  readonly #transport: Transport;
  readonly #redact: Redact;

  constructor(options: ModelCheckOptions) {
    this.#options = options;
    this.#redact = redactor(options.apiKey);
    const { baseURL, apiKey, timeoutMs } = options;
    const origin = new URL(baseURL).origin;
    this.#transport = openTransport({ origin, apiKey, timeoutMs, connections: 1, userAgent: USER_AGENT });
  }

  /** Whether the model can be asked, and what of log-probs it gives; null: given up. */
  async begin(signal: AbortSignal): Promise<BegunCheck | null> {
    return await this.#run(beginCheck(this.#options), signal);
  }

  /** What else it can do; null: given up. */
  async complete(begun: Extract<BegunCheck, { kind: 'answered' }>, signal: AbortSignal): Promise<ModelFindings | null> {
    return await this.#run(completeCheck(begun), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  async #run<Result>(steps: CheckSteps<Result>, signal: AbortSignal): Promise<Result | null> {
    let step = steps.next();
    while (step.done !== true) {
      const answer = await this.#ask(step.value, signal);
      if (answer === null) return null;
      step = steps.next(answer);
    }
    return step.value;
  }

  async #ask(question: CheckQuestion, signal: AbortSignal): Promise<CheckAnswer | null> {
    const isList = question.kind === 'models';
    const timeoutMs = Math.min(this.#options.timeoutMs, isList ? MAX_LIST_MS : MAX_CALL_MS);
    const startMs = performance.now();
    try {
      const json = 'application/json';
      const headers = new Headers({ accept: json, ...(isList ? {} : { 'content-type': json }) });
      const target = this.#transport.targetOf(isList ? 'GET' : 'POST', this.#addressOf(question), headers);
      const body = isList ? {} : { body: this.#bodyOf(question) };
      const response = await this.#transport.send(target, { ...body, signal, timeoutMs });
      const text = await response.text();
      if (!response.ok) throw new HttpError(response.status, parseJson(text) ?? text, response.headers);
      return await this.#read(question, text, { status: response.status, ms: performance.now() - startMs });
    } catch (error) {
      if (signal.aborted) return null;
      const fault = faultOf(error, { redact: this.#redact, timeoutMs });
      return fault === null ? null : { kind: 'failed', fault };
    }
  }

  #addressOf(question: CheckQuestion): string {
    const path = question.kind === 'models' ? '/models' : ENDPOINTS[question.endpoint].path;
    return addressBelow(this.#options.baseURL, path);
  }

  #bodyOf(question: Extract<CheckQuestion, { kind: 'call' }>): string {
    return strictJson({ ...this.#options.prepare(question), model: this.#options.model });
  }

  /** Whether a server streams is seen by its answer's first character, as content types are not to be trusted. */
  async #read(
    question: CheckQuestion,
    text: string,
    { status, ms }: { status: number; ms: number },
  ): Promise<CheckAnswer> {
    const isAsked = question.kind === 'call' && question.body['stream'] === true;
    const streamed = isAsked && !text.trimStart().startsWith('{');
    const read = streamed ? null : await readJson(text, ANSWER_LIMITS);
    const body = streamed ? collect(question, text) : read?.kind === 'json' ? read.value : null;
    // Some servers and routers say an error with a 200.
    if (isJsonObject(body) && (question.kind === 'models' || (body['error'] ?? null) === null)) {
      return { kind: 'answered', body, streamed, ms };
    }
    const message = `${status} with a body that is no answer: ${this.#redact(text.slice(0, MAX_REDACTED)).slice(0, MAX_SHOWN)}`;
    return { kind: 'failed', fault: { kind: 'garbled', status, message } };
  }
}

/** A streamed answer put together; null: it is not whole. */
function collect({ endpoint }: Extract<CheckQuestion, { kind: 'call' }>, text: string): JsonObject | null {
  if (text.length > MAX_STREAMED) return null;
  const collector = ENDPOINTS[endpoint].stream.collect();
  const reader = new EventReader();
  for (const { data } of [...reader.push(text), ...reader.end()]) {
    const event = parseJson(data);
    if (isJsonObject(event)) collector.push(event);
  }
  return collector.body();
}
