import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isJsonObject, parseJson, type JsonObject } from '@spillway/core';
import { errorOf, sendJson } from '../../support/model-answers.ts';
import { isModelUrl } from '../../support/model-shapes.ts';
import { Engine, type EngineSpec, type Progress } from './engine.ts';
import { isPublished, PUBLISHED } from './published.ts';
import { ReplayedVoice } from './replay.ts';
import { seededVoice, type Said, type Voice } from './voice.ts';

export type GpuServerOptions = {
  readonly spec: EngineSpec;
  readonly voice: Voice;
  /** How many times faster than a real server's its clock runs. */
  readonly speed: number;
  readonly port?: number;
};

/**
 * What a server has done since it was last asked for it. Times are Unix milliseconds, tokens the engine's; those of requests
 * that were hung up count as far as they came.
 */
export type Stats = {
  readonly requests: number;
  readonly hungUp: number;
  /** Requests whose answer had to be found first, beyond the engine's time. */
  readonly waited: number;
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
  hungUp: 0,
  waited: 0,
  firstCallMs: null,
  lastAnswerMs: null,
  busyMs: 0,
  promptTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
};

/** A request in the engine, and how it is answered. */
type Call = {
  readonly isStreamed: boolean;
  readonly response: ServerResponse;
  readonly said: Said;
  /** Of a stream: its events, how many of them were sent, and the tokens that there were by then. */
  pieces: readonly string[];
  sent: number;
  tokens: number;
};

/**
 * An OpenAI-compatible server that takes the time that a model on GPUs takes (`engine.ts`) and says what its voice says: what
 * a seed says (`answers.ts`), or what another server says to the same request (`replay.ts`). Its engine's clock is this process' times `speed`. A request joins at the moment that it is read, and what
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
    // As vLLM names it.
    if (method === 'POST' && url === '/reset_prefix_cache') {
      this.#engine.resetPrefixCache();
      return sendJson(response, 200, {}, {});
    }
    if (method !== 'POST' || !isModelUrl(url)) return sendJson(response, 404, errorOf(404), {});
    const body = await bodyOf(request);
    if (body === null) return sendJson(response, 400, errorOf(400), {});
    const said = await this.#options.voice.say(url, body);
    if (said.kind === 'refusal') return sendJson(response, said.status, said.body, {});
    if (response.destroyed) return;
    const id = (this.#lastId += 1);
    const isStreamed = body['stream'] === true;
    const call: Call = { isStreamed, response, said, pieces: [], sent: 0, tokens: 0 };
    this.#calls.set(id, call);
    response.once('close', () => {
      if (this.#calls.delete(id)) this.#hangUp(id, call);
    });
    const { promptTokens, outputTokens, readsCache } = said;
    const blocks = this.#options.spec.cacheBlocks === 0 ? [] : said.blocks;
    const nowMs = this.#advance();
    const { requests, firstCallMs } = this.#stats;
    this.#stats = { ...this.#stats, requests: requests + 1, firstCallMs: firstCallMs ?? Date.now() };
    this.#engine.submit([{ id, promptTokens, blocks, readsCache, outputTokens, isStreamed }], nowMs);
    this.#arm();
  }

  #hangUp(id: number, { said, tokens }: Call): void {
    this.#engine.cancel(id);
    const { hungUp, promptTokens, outputTokens } = this.#stats;
    this.#stats = {
      ...this.#stats,
      hungUp: hungUp + 1,
      promptTokens: promptTokens + said.promptTokens,
      outputTokens: outputTokens + tokens,
    };
  }

  #takeStats(): Stats {
    const busyMs = (this.#engine.busyMs - this.#busyBeforeMs) / this.#options.speed;
    const stats = { ...this.#stats, busyMs, waited: this.#options.voice.takeWaited() };
    this.#stats = NOTHING;
    this.#busyBeforeMs = this.#engine.busyMs;
    return stats;
  }

  #count({ promptTokens, outputTokens }: Said, cachedTokens: number): void {
    const before = this.#stats;
    this.#stats = {
      ...before,
      lastAnswerMs: Date.now(),
      promptTokens: before.promptTokens + promptTokens,
      cachedTokens: before.cachedTokens + cachedTokens,
      outputTokens: before.outputTokens + outputTokens,
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
    const { response, said } = call;
    call.tokens = tokens;
    if (isFinished) {
      this.#calls.delete(id);
      this.#count(said, cachedTokens);
    }
    if (!call.isStreamed) return sendJson(response, 200, said.whole(cachedTokens), {});
    if (call.pieces.length === 0) {
      call.pieces = said.pieces(cachedTokens);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
    }
    // The first piece says who speaks, then comes one for each token that is shown.
    const until = isFinished
      ? call.pieces.length
      : Math.min(1 + Math.floor(tokens / said.scale), call.pieces.length - 1);
    if (until > call.sent) response.write(call.pieces.slice(call.sent, until).join(''));
    call.sent = Math.max(call.sent, until);
    if (isFinished) response.end();
  }
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

/**
 * As a process of its own: PORT, SPEC (a name in `published.ts`), MAX_BATCH, CACHE_BLOCKS and SPEED, and who speaks: ROLE,
 * SEED and UNSURE_SHARE, or REPLAY, the base URL of another server, with SCALE.
 */
if (import.meta.main) {
  const { PORT = '0', SPEC = '', MAX_BATCH, CACHE_BLOCKS, SPEED = '1', REPLAY, SCALE = '1' } = process.env;
  const { ROLE = 'drafter', SEED = '1', UNSURE_SHARE = '0.25' } = process.env;
  if (!isPublished(SPEC)) throw new Error(`SPEC is one of ${Object.keys(PUBLISHED).join(', ')}`);
  const published: EngineSpec = PUBLISHED[SPEC];
  const { blockTokens } = published;
  const role = ROLE === 'expert' ? 'expert' : 'drafter';
  await using server = await new GpuServer({
    spec: {
      ...published,
      maxBatch: Number(MAX_BATCH ?? published.maxBatch),
      cacheBlocks: Number(CACHE_BLOCKS ?? published.cacheBlocks),
    },
    voice:
      REPLAY === undefined
        ? seededVoice({ seed: Number(SEED), role, unsureShare: Number(UNSURE_SHARE) }, blockTokens)
        : new ReplayedVoice({ baseURL: REPLAY, scale: Number(SCALE), blockTokens }),
    speed: Number(SPEED),
    port: Number(PORT),
  }).listen();
  process.stdout.write(`${JSON.stringify({ port: server.port, baseURL: server.baseURL })}\n`);
  await once(process, 'SIGTERM');
}
