import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isJsonObject, parseJson, type JsonObject } from '@spillway/core';
import { errorOf, sendJson } from '../../support/model-answers.ts';
import { completionBody } from '../../support/model-script.ts';
import { isModelUrl, promptOf } from '../../support/model-shapes.ts';
import { eventsOf } from '../../support/model-stream.ts';
import { answerOf, type Answer, type Speaker } from './answers.ts';
import { Engine, type EngineSpec, type Progress } from './engine.ts';
import { blocksOf, textOf, tokensOf } from './prompt.ts';
import { isPublished, PUBLISHED } from './published.ts';

export type GpuServerOptions = {
  readonly spec: EngineSpec;
  readonly speaker: Speaker;
  /** How many times faster than a real server's its clock runs. */
  readonly speed: number;
  readonly port?: number;
};

/** What a server has done since it was last asked for it. Times are Unix milliseconds, tokens those that were answered. */
export type Stats = {
  readonly requests: number;
  readonly firstCallMs: number | null;
  readonly lastAnswerMs: number | null;
  /** Of the time between the two, in milliseconds that passed here, whatever the speed. */
  readonly busyMs: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
};

const NOTHING: Stats = {
  requests: 0,
  firstCallMs: null,
  lastAnswerMs: null,
  busyMs: 0,
  promptTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
};

/** A request in the engine, and how it is answered. */
type Call = {
  readonly url: string;
  readonly body: JsonObject;
  readonly response: ServerResponse;
  readonly promptTokens: number;
  readonly answer: Answer & { readonly isCut: boolean };
  /** The events of a stream, and how many of them were sent. */
  pieces: readonly string[];
  sent: number;
};

/**
 * An OpenAI-compatible server that takes the time that a model on GPUs takes (`engine.ts`) and says what a seed says
 * (`answers.ts`). Its engine's clock is this process' times `speed`. A request joins at the moment that it is read, and what
 * a late timer missed is made up for: what a step takes does not depend on how busy the machine is.
 */
export class GpuServer implements AsyncDisposable {
  readonly #options: GpuServerOptions;
  readonly #engine: Engine;
  readonly #calls = new Map<number, Call>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #startedMs = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #lastId = 0;
  #stats = NOTHING;
  #busyBeforeMs = 0;

  constructor(options: GpuServerOptions) {
    this.#options = options;
    this.#engine = new Engine(options.spec);
    this.#server.keepAliveTimeout = 60_000;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get baseURL(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  async listen(): Promise<this> {
    this.#server.listen(this.#options.port ?? 0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url } = request;
    if (method === 'GET' && url === '/v1/models') return sendJson(response, 200, { object: 'list', data: [] }, {});
    if (method === 'GET' && url === '/stats') return sendJson(response, 200, this.#takeStats(), {});
    if (method !== 'POST' || !isModelUrl(url)) return sendJson(response, 404, errorOf(404), {});
    const body = await bodyOf(request);
    if (body === null) return sendJson(response, 400, errorOf(400), {});
    const text = textOf(body);
    const { spec, speaker } = this.#options;
    const answer = cut(answerOf(speaker, promptOf(body)), body);
    const [id, promptTokens] = [(this.#lastId += 1), tokensOf(text)];
    this.#calls.set(id, { url, body, response, promptTokens, answer, pieces: [], sent: 0 });
    response.once('close', () => {
      if (this.#calls.delete(id)) this.#engine.cancel(id);
    });
    const blocks = spec.cacheBlocks === 0 ? [] : blocksOf(text, spec.blockTokens);
    const isStreamed = body['stream'] === true;
    const nowMs = this.#advance();
    const { requests, firstCallMs } = this.#stats;
    this.#stats = { ...this.#stats, requests: requests + 1, firstCallMs: firstCallMs ?? Date.now() };
    this.#engine.submit([{ id, promptTokens, blocks, outputTokens: answer.tokens.length, isStreamed }], nowMs);
    this.#arm();
  }

  #takeStats(): Stats {
    const busyMs = (this.#engine.busyMs - this.#busyBeforeMs) / this.#options.speed;
    const stats = { ...this.#stats, busyMs };
    this.#stats = NOTHING;
    this.#busyBeforeMs = this.#engine.busyMs;
    return stats;
  }

  #count({ promptTokens, answer }: Call, cachedTokens: number): void {
    const before = this.#stats;
    this.#stats = {
      ...before,
      lastAnswerMs: Date.now(),
      promptTokens: before.promptTokens + promptTokens,
      cachedTokens: before.cachedTokens + cachedTokens,
      outputTokens: before.outputTokens + answer.tokens.length,
    };
  }

  /** Answers what is due by now; when that is on the engine's clock. */
  #advance(): number {
    const nowMs = (performance.now() - this.#startedMs) * this.#options.speed;
    for (const one of this.#engine.advance(nowMs)) this.#tell(one);
    return nowMs;
  }

  #arm(): void {
    if (this.#timer !== null || this.#engine.nextMs === null) return;
    const dueMs = this.#startedMs + this.#engine.nextMs / this.#options.speed;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#advance();
        this.#arm();
      },
      Math.max(0, dueMs - performance.now()),
    );
  }

  #tell({ id, tokens, cachedTokens, isFinished }: Progress): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    if (isFinished) {
      this.#calls.delete(id);
      this.#count(call, cachedTokens);
    }
    const { body, response, url } = call;
    if (body['stream'] !== true) return sendJson(response, 200, whole(call, cachedTokens), {});
    if (call.pieces.length === 0) {
      call.pieces = eventsOf(url, whole(call, cachedTokens), body);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
    }
    // The first piece says who speaks, then comes one for each token.
    const until = isFinished ? call.pieces.length : Math.min(1 + tokens, call.pieces.length - 1);
    response.write(call.pieces.slice(call.sent, until).join(''));
    call.sent = until;
    if (isFinished) response.end();
  }
}

/** An answer without what is over the most that the request allows. */
function cut({ tokens, logprobs }: Answer, body: JsonObject): Call['answer'] {
  const most = body['max_completion_tokens'] ?? body['max_tokens'] ?? body['max_output_tokens'];
  const count = typeof most === 'number' ? Math.max(1, Math.min(most, tokens.length)) : tokens.length;
  return { tokens: tokens.slice(0, count), logprobs: logprobs.slice(0, count), isCut: count < tokens.length };
}

function whole({ url, body, promptTokens, answer }: Call, cachedTokens: number): JsonObject {
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: answer.tokens.length,
    total_tokens: promptTokens + answer.tokens.length,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
  const finishReason = answer.isCut ? 'length' : 'stop';
  return completionBody(
    { kind: 'completion', text: answer.tokens.join(''), logprobs: [...answer.logprobs], usage, finishReason },
    { url, body, prompt: '' },
  );
}

async function bodyOf(request: IncomingMessage): Promise<JsonObject | null> {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  const isWhole = await once(request, 'end').then(
    () => true,
    () => false,
  );
  const body = isWhole ? parseJson(Buffer.concat(chunks).toString('utf8')) : null;
  return isJsonObject(body) ? body : null;
}

/** As a process of its own: PORT, ROLE, SPEC (a name in `published.ts`), MAX_BATCH, CACHE_BLOCKS, SEED, UNSURE_SHARE and SPEED. */
if (import.meta.main) {
  const {
    PORT = '0',
    ROLE = 'drafter',
    SPEC = '',
    MAX_BATCH,
    CACHE_BLOCKS,
    SEED = '1',
    UNSURE_SHARE = '0.25',
    SPEED = '1',
  } = process.env;
  if (!isPublished(SPEC)) throw new Error(`SPEC is one of ${Object.keys(PUBLISHED).join(', ')}`);
  const published: EngineSpec = PUBLISHED[SPEC];
  await using server = await new GpuServer({
    spec: {
      ...published,
      maxBatch: Number(MAX_BATCH ?? published.maxBatch),
      cacheBlocks: Number(CACHE_BLOCKS ?? published.cacheBlocks),
    },
    speaker: { seed: Number(SEED), role: ROLE === 'expert' ? 'expert' : 'drafter', unsureShare: Number(UNSURE_SHARE) },
    speed: Number(SPEED),
    port: Number(PORT),
  }).listen();
  process.stdout.write(`${JSON.stringify({ port: server.port, baseURL: server.baseURL })}\n`);
  await once(process, 'SIGTERM');
}
