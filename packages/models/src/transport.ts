import { Pool, type Dispatcher } from 'undici';
import { BodyDecoder, decodingOf } from './body-decoder.ts';
import { BodyText } from './body-text.ts';
import { breakOf, TransportError } from './transport-error.ts';

/** Takes a piece of a good answer's body as it comes; false: the rest is not read. */
type OnChunk = (chunk: Uint8Array) => boolean | Promise<boolean>;

export type TransportInit = RequestInit & { readonly onChunk?: OnChunk };

export type Transport = AsyncDisposable & {
  /**
   * A `fetch` for the SDK: the whole answer is read before it resolves, so the SDK's deadline covers the body too. An
   * answer whose pieces were taken by `onChunk` has no text of its own; an error's body always has.
   */
  readonly fetch: (input: string | URL | Request, init?: TransportInit) => Promise<Response>;
};

/** A completion with log-probs and alternatives of a very long answer stays below this, as sent and as decoded. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** An error is read by people; the rest of a longer one is not worth its memory. */
const MAX_ERROR_BYTES = 64 * 1024;

/**
 * A host that does not even answer a SYN, or never ends its TLS handshake; far above any round trip. Never more than
 * half of a call's time, so that a host that is gone is found out as such before the call's own deadline.
 */
const CONNECT_TIMEOUT_MS = 10_000;

/** Below the 5 s after which uvicorn (vLLM, SGLang), node and llama.cpp close a silent connection under us. */
const KEEP_ALIVE_MS = 4_000;

/** What travels. The SDK's platform headers are of no use to a model server, and its environment may add others. */
const SENT_HEADERS = ['accept', 'content-type', 'traceparent'] as const;
const KEPT_HEADERS = ['content-type', 'x-request-id', 'retry-after', 'retry-after-ms'] as const;

/**
 * Keep-alive connections to one model server. The key is put on here, so the SDK, its errors and its log never hold
 * it. undici's own time-outs are off: the deadline is the caller's, also for a half-open connection.
 */
export function openTransport(options: {
  readonly origin: string;
  readonly apiKey: string | null;
  readonly connections: number;
  readonly timeoutMs: number;
  /** Who calls, where it is not about documents. */
  readonly userAgent?: string;
}): Transport {
  const pool = new Pool(options.origin, {
    /** One more than the tier uses at a time, so that a question for health never waits behind documents. */
    connections: options.connections + 1,
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { timeout: Math.max(1, Math.min(CONNECT_TIMEOUT_MS, options.timeoutMs / 2)) },
  });
  const fixed = {
    ...(options.apiKey === null ? {} : { authorization: `Bearer ${options.apiKey}` }),
    'user-agent': options.userAgent ?? 'spillway',
  };
  return {
    fetch: (input, init = {}) => {
      const { promise, resolve, reject } = Promise.withResolvers<Response>();
      const exchange = new Exchange(resolve, reject, init.onChunk ?? null);
      exchange.listen(init.signal ?? null);
      const url = input instanceof Request ? new URL(input.url) : new URL(input);
      pool.dispatch(
        {
          path: url.pathname + url.search,
          method: init.method === 'GET' ? 'GET' : 'POST',
          headers: { ...pickHeaders(init.headers), ...fixed },
          body: typeof init.body === 'string' ? init.body : null,
        },
        exchange,
      );
      return promise;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

function pickHeaders(given: RequestInit['headers']): Record<string, string> {
  const headers = given instanceof Headers ? given : new Headers(given);
  const picked: Record<string, string> = {};
  for (const name of SENT_HEADERS) {
    const value = headers.get(name);
    if (value !== null) picked[name] = value;
  }
  return picked;
}

/** Where pieces come from: the connection, or the decoder behind it. */
type Source = { pause(): void; resume(): void };

/** One request on the wire, as undici reports it. Resolves or rejects once; what comes later is dropped. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onChunk: OnChunk | null;
  readonly #text = new BodyText();
  /** Bytes as they came, and as they are once their codings are undone. */
  #received = 0;
  #length = 0;
  #decoder: BodyDecoder | null = null;
  #isCut = false;
  #status = 0;
  #headers = new Headers();
  #controller: Dispatcher.DispatchController | null = null;
  #ended: 'answered' | 'failed' | null = null;
  #forget: () => void = () => {};

  constructor(resolve: (response: Response) => void, reject: (error: unknown) => void, onChunk: OnChunk | null) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onChunk = onChunk;
  }

  listen(signal: AbortSignal | null): void {
    if (signal === null) return;
    const stop = () => this.#fail(new TransportError(this.#controller === null ? 'unsent' : 'sent', 'aborted', {}));
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    this.#forget = () => signal.removeEventListener('abort', stop);
  }

  /** undici has a connection and is about to write. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#ended === null) this.#controller = controller;
    else controller.abort(new TransportError('unsent', 'aborted', {}));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    if (status < 200) return;
    this.#status = status;
    for (const name of KEPT_HEADERS) {
      const value = headers[name];
      if (typeof value === 'string') this.#headers.set(name, value);
    }
    const decoding = decodingOf(headers['content-encoding']);
    if (decoding.kind === 'too_many') this.#undecodable(new Error('it has too many codings'));
    if (decoding.kind !== 'decoders') return;
    this.#decoder = new BodyDecoder(decoding.decoders, {
      onData: (chunk) => this.#take(chunk, this.#decoder ?? controller),
      onEnd: () => this.#answer(),
      onError: (error) => this.#undecodable(error),
      onDrain: () => controller.resume(),
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ended !== null) return;
    this.#received += chunk.length;
    if (this.#decoder === null) this.#take(chunk, controller);
    else if (this.#received > MAX_ANSWER_BYTES) this.#tooLong();
    else if (!this.#decoder.write(chunk)) controller.pause();
  }

  /** A piece of the body as it is meant; `source` is what can be made to wait with the next one. */
  #take(chunk: Buffer, source: Source): void {
    if (this.#ended !== null) return;
    const onChunk = this.#status < 300 ? this.#onChunk : null;
    if (onChunk === null) this.#text.push(chunk);
    this.#length += chunk.length;
    if (this.#status >= 300 && this.#length > MAX_ERROR_BYTES) {
      this.#isCut = true;
      this.#answer();
      this.#controller?.abort(new TransportError('sent', 'the rest of a long error is not read', {}));
    } else if (this.#length > MAX_ANSWER_BYTES) this.#tooLong();
    else if (onChunk !== null) this.#pass(onChunk, chunk, source);
  }

  #tooLong(): void {
    const message = `the answer is longer than ${MAX_ANSWER_BYTES} bytes`;
    this.#fail(new TransportError('garbled', message, { status: this.#status }));
  }

  /** An error says most of what it has to say by its status. */
  #undecodable(cause: Error): void {
    if (this.#status >= 300) {
      this.#answer();
      this.#controller?.abort(new TransportError('sent', 'the rest of an error cannot be decoded', { cause }));
      return;
    }
    const message = `the answer's content-encoding cannot be undone: ${cause.message}`;
    this.#fail(new TransportError('garbled', message, { status: this.#status, cause }));
  }

  #pass(onChunk: OnChunk, chunk: Buffer, source: Source): void {
    let wanted: boolean | Promise<boolean>;
    try {
      wanted = onChunk(chunk);
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#ended !== null) return;
    if (wanted === false) this.#stop();
    if (typeof wanted === 'boolean') return;
    source.pause();
    void wanted.then(
      (isWanted) => (isWanted ? source.resume() : this.#stop()),
      (error: unknown) => this.#fail(error),
    );
  }

  /** The rest of a stream is of no use. */
  #stop(): void {
    if (this.#ended !== null) return;
    this.#answer();
    this.#controller?.abort(new TransportError('sent', 'the rest of a stream is not read', {}));
  }

  onResponseEnd(): void {
    if (this.#decoder === null) this.#answer();
    else this.#decoder.end();
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#fail(breakOf(error, this.#controller !== null, this.#status === 0 ? null : this.#status));
  }

  #answer(): void {
    if (this.#ended !== null) return;
    this.#ended = 'answered';
    this.#forget();
    this.#decoder?.destroy();
    const text = this.#text.end({ isCut: this.#isCut });
    this.#resolve(new WholeAnswer(this.#status, this.#headers, text) as unknown as Response);
  }

  #fail(error: unknown): void {
    if (this.#ended !== null) return;
    this.#ended = 'failed';
    this.#forget();
    this.#decoder?.destroy();
    this.#reject(error);
    this.#controller?.abort(error instanceof Error ? error : new Error('the call failed', { cause: error }));
  }
}

/**
 * What the SDK and the client read of a `Response`. A real one wraps the text in a web stream that is then read again:
 * measured with test/bench/model-client.ts it makes a call cost 0.6 instead of 0.45 of the SDK's own fetch.
 */
class WholeAnswer implements Pick<Response, 'status' | 'ok' | 'headers' | 'url' | 'body' | 'text'> {
  readonly status: number;
  readonly headers: Headers;
  readonly url = '';
  readonly body = null;
  readonly #text: string;

  constructor(status: number, headers: Headers, text: string) {
    this.status = status;
    this.headers = headers;
    this.#text = text;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  text(): Promise<string> {
    return Promise.resolve(this.#text);
  }
}
