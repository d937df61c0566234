import { Readable } from 'node:stream';
import type { DocumentTelemetry, OnEvent } from '@spillway/cascade';
import {
  cascadeAnnotation,
  isJsonObject,
  readResultLine,
  resultOf,
  type CascadeAnnotation,
  type CascadeDocument,
  type Configuration,
  type Ending,
  type EndpointUrl,
  type ErrorEnvelope,
  type JsonObject,
} from '@spillway/core';
import type { Calibrations, Log, Sampling } from '@spillway/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ApiError, shown, tooMany } from '../errors.ts';
import { readDirectDocument } from './direct-document.ts';
import type { DirectModels } from './direct-models.ts';
import { EventQueue, streamText, type WholeAnswer } from './event-stream.ts';
import { runCascade } from './run-cascade.ts';

/** What every direct request has; what the model is to answer differs between the endpoints. */
export const directBody = z.looseObject({ model: z.string().meta({ description: 'The name of a cascade.' }) });

export const directAnswer = z
  .looseObject({ cascade: cascadeAnnotation })
  .meta({ id: 'DirectAnswer', description: "The model's answer, and `cascade`: what was decided and why." });

export type DirectAnswer = z.input<typeof directAnswer>;

/** Answers that are under way at once; this is for trying things out, batches are for work. */
const MAX_AT_ONCE = 64;

/** The last one keeps nginx and its like from collecting the events before they pass them on. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
};

export type DirectAnswersOptions = {
  readonly configuration: Configuration;
  readonly calibrations: Calibrations;
  readonly sampling: Sampling | undefined;
  readonly models: DirectModels;
  readonly telemetry: DocumentTelemetry;
  readonly log: Log;
};

type Call = { readonly url: EndpointUrl; readonly request: FastifyRequest; readonly reply: FastifyReply };

type Finished = { readonly document: CascadeDocument; readonly ending: Ending };

/** Answers one document through the cascade at once: the same stages and rules as in a batch, and no queue. */
export class DirectAnswers {
  readonly #options: DirectAnswersOptions;
  #underWay = 0;

  constructor(options: DirectAnswersOptions) {
    this.#options = options;
  }

  /** The answer, or a stream of events where the request asks for one. */
  async answer({ url, request, reply }: Call): Promise<DirectAnswer | Readable> {
    const document = readDirectDocument(url, request.body, this.#options);
    if (this.#underWay >= MAX_AT_ONCE)
      throw tooMany('Too many answers are under way at once. Try again in a moment.', 1);
    const gone = new AbortController();
    // Until the client has its answer, or is gone: what it does not read is held here all the while.
    this.#underWay += 1;
    const leave = (): void => {
      this.#underWay -= 1;
      gone.abort('cancelled');
    };
    if (reply.raw.destroyed) leave();
    else reply.raw.once('close', leave);
    if (document.job.body['stream'] === true) return await this.#stream(document, reply, gone.signal);
    const { status, body, cascade } = this.#conclude(await this.#run(document, gone.signal, null));
    reply.code(status);
    return { ...body, cascade };
  }

  /** Waits for the first event, so that what fails before it is answered with its status. */
  async #stream(document: CascadeDocument, reply: FastifyReply, signal: AbortSignal): Promise<Readable> {
    const events = new EventQueue();
    const answer = this.#run(document, signal, (data) => events.push(data))
      .then((finished): WholeAnswer => {
        const { status, body, cascade } = this.#conclude(finished);
        if (status >= 300) throw refusalOf(status, body);
        return { body, cascade: cascade as unknown as JsonObject };
      })
      .finally(() => events.end());
    // Whoever reads the stream meets its failure too.
    answer.catch(() => undefined);
    if (!(await events.begun)) await answer;
    const { endpoint, body } = document.job;
    const onError = (error: unknown): ErrorEnvelope => this.#brokenOff(error);
    reply.headers(STREAM_HEADERS);
    return Readable.from(streamText(endpoint, body, { events, answer, onError }), { objectMode: false });
  }

  async #run(document: CascadeDocument, signal: AbortSignal, onEvent: OnEvent | null): Promise<Finished> {
    const { models, telemetry } = this.#options;
    return await runCascade(document, { models, telemetry, signal, onEvent });
  }

  /** The answer with its status; throws what the client is told where the models have none. */
  #conclude({ document, ending }: Finished): {
    readonly status: number;
    readonly body: JsonObject;
    readonly cascade: CascadeAnnotation;
  } {
    const result = resultOf(document, ending);
    this.#options.telemetry.settled({ document, ending, result });
    const line = readResultLine(result.line.text);
    if (line?.cascade === undefined) throw new Error('a direct answer has no annotation');
    if (line.response === null) {
      const { code, message } = line.error ?? { code: 'server_error', message: 'The models failed.' };
      throw new ApiError(code === 'request_timeout' ? 504 : 502, message, { code });
    }
    const { status_code: status, body } = line.response;
    if (status >= 500) throw new ApiError(502, `The expert answered ${status}.`, { code: 'server_error' });
    if (!isJsonObject(body)) throw new ApiError(status, shown(typeof body === 'string' ? body : JSON.stringify(body)));
    return { status, body, cascade: line.cascade };
  }

  /** What the client of a stream that broke off is told. */
  #brokenOff(error: unknown): ErrorEnvelope {
    const known = error instanceof ApiError ? error : new ApiError(500, 'The server failed while it answered.');
    if (known !== error) this.#options.log.error({ err: error }, 'a streamed answer failed');
    return known.envelope;
  }
}

/** What a model server that refused the request said of it, as far as it speaks OpenAI's language. */
function refusalOf(status: number, body: JsonObject): ApiError {
  const { error } = body;
  const { message, param, code } = isJsonObject(error) ? error : body;
  const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return new ApiError(status, textOrNull(message) ?? `The expert answered ${status}.`, {
    param: textOrNull(param),
    code: textOrNull(code),
  });
}
