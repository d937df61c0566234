import { EventEmitter, once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { isJsonObject, parseJson, type JsonObject } from '@spillway/core';
import { errorOf, sendBeginning, sendEndlessly, sendJson, sendPieces, sendSlowly, written } from './model-answers.ts';
import { completionBody, scriptOf, type Scripted } from './model-script.ts';
import { isModelUrl, promptOf } from './model-shapes.ts';
import { eventsOf } from './model-stream.ts';

export type { Scripted } from './model-script.ts';

export type ModelRequest = {
  readonly body: JsonObject;
  readonly headers: IncomingHttpHeaders;
  /** The client's, which says whether a connection was used again. */
  readonly port: number | undefined;
  /** How often the same last user message has come, this time included. */
  readonly attempt: number;
};

/** `releases` is how many there had been when the request came. */
type Asked = { url: string; body: JsonObject; prompt: string; response: ServerResponse; releases: number };

export type ModelServerOptions = {
  /** What to answer; without it the directives in the prompt decide (see model-script.ts). */
  readonly answer?: (request: ModelRequest) => Scripted | Promise<Scripted>;
  /**
   * What to answer the calls of a worker's check, which are counted apart and use up no script; without it they are
   * answered well.
   */
  readonly check?: (request: Omit<ModelRequest, 'attempt'>) => Scripted | Promise<Scripted>;
  /** `drafter` or `expert`: directives may begin with it, such as `[[expert status 400]]`. */
  readonly role?: string;
  readonly latencyMs?: number;
  readonly port?: number;
  /** Off for benchmarks: nothing is kept of the requests but their number. */
  readonly record?: boolean;
};

/** A real HTTP server that speaks the OpenAI protocol and behaves as it is told. */
export class ModelServer implements AsyncDisposable {
  readonly requests: ModelRequest[] = [];
  /** Calls of checks, not among the `requests`. */
  readonly checks: Omit<ModelRequest, 'attempt'>[] = [];
  received = 0;
  inFlight = 0;
  peakInFlight = 0;
  readonly #options: ModelServerOptions;
  readonly #attempts = new Map<string, number>();
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  readonly #checked = new EventEmitter();
  #releases = 0;
  #held: (() => void)[] = [];
  #server: Server;
  #port = 0;

  constructor(options: ModelServerOptions) {
    this.#options = options;
    this.#server = this.#create();
  }

  get port(): number {
    return this.#port;
  }

  get baseURL(): string {
    return `http://127.0.0.1:${this.#port}/v1`;
  }

  async listen(): Promise<this> {
    this.#server.listen(this.#port === 0 ? (this.#options.port ?? 0) : this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Refuses connections from now on and breaks those that are open. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Is there again under the same address. */
  async restart(): Promise<void> {
    await this.stop();
    this.#server = this.#create();
    await this.listen();
  }

  /** Lets every request that has come so far go on, if it hangs, to a confident answer. */
  release(): void {
    this.#releases += 1;
    const held = this.#held;
    this.#held = [];
    for (const resolve of held) resolve();
  }

  /** Resolves when so many requests have come since the start. */
  async waitForRequests(count: number): Promise<void> {
    if (this.received >= count) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ count, resolve });
    await promise;
  }

  /** Resolves when so many calls of checks have come. */
  async waitForChecks(count: number): Promise<void> {
    while (this.checks.length < count) await once(this.#checked, 'check');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.release();
  }

  #create(): Server {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.keepAliveTimeout = 60_000;
    return server;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST' || !isModelUrl(request.url)) {
      return sendJson(response, 404, { error: { message: `no route ${request.url}`, code: 404 } }, {});
    }
    if (request.headers['user-agent'] === 'spillway-check') return await this.#answerCheck(request, response);
    this.inFlight += 1;
    this.peakInFlight = Math.max(this.peakInFlight, this.inFlight);
    response.once('close', () => {
      this.inFlight -= 1;
    });
    const body = await readBody(request);
    if (body === null) return sendJson(response, 500, { error: { message: 'malformed JSON', code: 500 } }, {});
    const releases = this.#releases;
    const prompt = promptOf(body);
    const asked = { body, headers: request.headers, port: request.socket.remotePort, attempt: this.#count(prompt) };
    if (this.#options.record !== false) this.requests.push(asked);
    this.#notify();
    if (this.#options.latencyMs) await elapsed(this.#options.latencyMs);
    const scripted = await (this.#options.answer?.(asked) ??
      scriptOf({ prompt, attempt: asked.attempt, role: this.#options.role ?? '' }));
    await this.#play(scripted, { url: request.url, body, prompt, response, releases });
  }

  async #answerCheck(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await readBody(request)) ?? {};
    const asked = { body, headers: request.headers, port: request.socket.remotePort };
    this.checks.push(asked);
    this.#checked.emit('check');
    const scripted = (await this.#options.check?.(asked)) ?? { kind: 'completion' };
    const { url = '' } = request;
    await this.#play(scripted, { url, body, prompt: promptOf(body), response, releases: this.#releases });
  }

  async #play(scripted: Scripted, asked: Asked): Promise<void> {
    const { response } = asked;
    switch (scripted.kind) {
      case 'completion': {
        const body = completionBody(scripted, asked);
        if (asked.body['stream'] !== true || scripted.streams === false) {
          return sendJson(response, 200, body, scripted.headers ?? {});
        }
        return sendPieces(response, eventsOf(asked.url, body, asked.body), scripted.headers);
      }
      case 'pieces': {
        const { pieces, headers, pauseMs = 0, last = 'end' } = scripted;
        response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
        for (const piece of pieces) {
          await written(response, piece);
          if (pauseMs > 0) await elapsed(pauseMs);
        }
        if (last === 'reset') return void response.socket?.resetAndDestroy();
        if (last === 'hang' && asked.releases === this.#releases) await this.#hold(response);
        return void response.end();
      }
      case 'status':
        return sendJson(response, scripted.status, scripted.body ?? errorOf(scripted.status), scripted.headers ?? {});
      case 'raw':
        response.writeHead(scripted.status ?? 200, { 'content-type': 'text/html', ...scripted.headers });
        return void response.end(scripted.body);
      case 'hang':
        if (asked.releases === this.#releases) await this.#hold(response);
        return this.#play({ kind: 'completion' }, asked);
      case 'reset':
        if (scripted.when === 'after_headers') await sendBeginning(response, asked);
        return void response.socket?.resetAndDestroy();
      case 'not_http':
        return void response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n\r\n');
      case 'endless':
        return sendEndlessly(response, asked);
      case 'slow':
        return sendSlowly(response, asked, scripted.pauseMs);
    }
  }

  /** Until `release`, or until the client has gone. */
  async #hold(response: ServerResponse): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.push(resolve);
    response.once('close', resolve);
    await promise;
  }

  #count(prompt: string): number {
    if (this.#options.record === false && !prompt.includes('[[')) return 1;
    const attempt = (this.#attempts.get(prompt) ?? 0) + 1;
    this.#attempts.set(prompt, attempt);
    return attempt;
  }

  #notify(): void {
    this.received += 1;
    for (const one of this.#waiting) if (this.received >= one.count) one.resolve();
  }
}

export function startModelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  return new ModelServer(options).listen();
}

/** By events: with `for await` a request costs the server 0.114 ms of CPU instead of 0.093. */
function readBody(request: IncomingMessage): Promise<JsonObject | null> {
  const { promise, resolve } = Promise.withResolvers<JsonObject | null>();
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.once('end', () => {
    const body = parseJson(Buffer.concat(chunks).toString('utf8'));
    resolve(isJsonObject(body) ? body : null);
  });
  request.once('error', () => resolve(null));
  return promise;
}

const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** As a process of its own, for benchmarks and for tests that kill it: PORT, ROLE and LATENCY_MS. */
if (import.meta.main) {
  const server = await startModelServer({
    port: Number(process.env['PORT'] ?? 0),
    role: process.env['ROLE'] ?? '',
    latencyMs: Number(process.env['LATENCY_MS'] ?? 0),
    record: false,
  });
  process.stdout.write(`${JSON.stringify({ port: server.port, baseURL: server.baseURL })}\n`);
  process.once('SIGTERM', () => void server[Symbol.asyncDispose]());
}
