import { Readable } from 'node:stream';
import type { DocumentTelemetry, OnEvent } from '@spillway/cascade';
import {
  cascadeAnnotation,
  isJsonObject,
  LIMITS,
  resultLine,
  resultOf,
  type CascadeAnnotation,
  type CascadeDocument,
  type Configuration,
  type Ending,
  type EndpointUrl,
  type ErrorEnvelope,
  type Json,
  type JsonObject,
} from '@spillway/core';
import { readJson, writeJson, type Calibrations, type Log, type Sampling } from '@spillway/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Caller } from '../auth.ts';
import { ApiError, shown, tooMany, unavailable } from '../errors.ts';
import { TenantShares } from '../tenant-shares.ts';
import { readDirectDocument } from './direct-document.ts';
import type { DirectModels } from './direct-models.ts';
import { EventQueue, streamText, type WholeAnswer } from './event-stream.ts';
import { runCascade } from './run-cascade.ts';

/** What every direct request has; what the model is to answer differs between the endpoints. */
export const directBody = z.looseObject({ model: z.string().meta({ description: 'The name of a cascade.' }) });

export const directAnswer = z
  .looseObject({ cascade: cascadeAnnotation })
  .meta({ id: 'DirectAnswer', description: "The model's answer, and `cascade`: what was decided and why." });

type DirectAnswer = z.input<typeof directAnswer>;

/** Answers that are under way at once; this is for trying things out, batches are for work. */
const MAX_AT_ONCE = 64;

/** When it must be over in any case: the answer itself, and a minute to read it. */
const MAX_MS = LIMITS.directAnswerMs + 60_000;

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
  /** Whether there are several tenants, of whom none may keep the others out. */
  readonly isShared: boolean;
};

type Call = {
  readonly url: EndpointUrl;
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
};

/** An answer with its status. */
type Concluded = { readonly status: number; readonly body: JsonObject; readonly cascade: CascadeAnnotation };

type Finished = { readonly document: CascadeDocument; readonly ending: Ending };

/** Answers one document through the cascade at once: the same stages and rules as in a batch, and no queue. */
export class DirectAnswers {
  readonly #options: DirectAnswersOptions;
  readonly #underWay: TenantShares;

  constructor(options: DirectAnswersOptions) {
    this.#options = options;
    this.#underWay = new TenantShares(MAX_AT_ONCE, options);
  }

  /** The answer, or a stream of events where the request asks for one. */
  async answer({ url, caller, request, reply }: Call): Promise<string | Readable> {
    const document = readDirectDocument(url, request.body, this.#options);
    const { tenant } = caller;
    const short = this.#underWay.take(tenant, 1);
    if (short === 'own') throw tooMany('Too many answers are under way at once. Try again in a moment.', 1);
    if (short === 'all') throw unavailable('Too many answers are under way at once. Try again in a moment.');
    const gone = new AbortController();
    // Until the client has its answer, or is gone: what it does not read is held here all the while.
    const limit = setTimeout(() => reply.raw.destroy(), MAX_MS);
    const leave = (): void => {
      clearTimeout(limit);
      this.#underWay.giveBack(tenant, 1);
      gone.abort('cancelled');
    };
    if (reply.raw.destroyed) leave();
    else reply.raw.once('close', leave);
    if (document.job.body['stream'] === true) return await this.#stream(document, reply, gone.signal);
    const { status, body, cascade } = await this.#conclude(await this.#run(document, gone.signal, null));
    reply.code(status).type('application/json');
    return await writeJson({ ...body, cascade: cascade as unknown as JsonObject } satisfies Record<
      keyof DirectAnswer,
      Json
    >);
  }

  /** Waits for the first event, so that what fails before it is answered with its status. */
  async #stream(document: CascadeDocument, reply: FastifyReply, signal: AbortSignal): Promise<Readable> {
    const events = new EventQueue();
    const answer = this.#run(document, signal, (data) => events.push(data))
      .then(async (finished): Promise<WholeAnswer> => {
        const { status, body, cascade } = await this.#conclude(finished);
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
  async #conclude({ document, ending }: Finished): Promise<Concluded> {
    const { telemetry } = this.#options;
    const isTraced = await telemetry.isTraced(document, ending);
    const result = resultOf(document, ending, isTraced);
    telemetry.settled({ document, ending, result, isTraced });
    const read = await readJson(result.line.text, { depth: LIMITS.jsonDepth, values: Infinity });
    const line = read.kind === 'json' ? resultLine.safeParse(read.value).data : undefined;
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
