import type { Dispatcher } from 'undici';
import { BodyDecoder, decodingOf } from './body-decoder.ts';
import { BodyText } from './body-text.ts';
import { breakOf, TransportError } from './transport-error.ts';
import { WholeAnswer } from './whole-answer.ts';

/** Takes a piece of a good answer's body as it comes; false: the rest is not read. */
type OnChunk = (chunk: Uint8Array) => boolean | Promise<boolean>;

/** What an exchange brings there, and who takes what comes back. */
export type Asked = {
  readonly body?: string;
  /** Left out: the answer is kept until it is whole. */
  readonly onChunk?: OnChunk;
};

/** A completion with log-probs and alternatives of a very long answer stays below this, as sent and as decoded. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** An error is read by people; the rest of a longer one is not worth its memory. */
const MAX_ERROR_BYTES = 64 * 1024;

/** With the headers and at three bytes a character less than the 16 KiB for which a connection has room at least. */
const ONE_WRITE_CHARACTERS = 4_096;

const KEPT_HEADERS = ['content-type', 'x-request-id', 'retry-after', 'retry-after-ms'] as const;

/** Where pieces come from: the connection, or the decoder behind it. */
type Source = { pause(): void; resume(): void };

/** One request on the wire, as undici reports it. Resolves or rejects once; what comes later is dropped. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: WholeAnswer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onChunk: OnChunk | null;
  readonly #isOneWrite: boolean;
  readonly #text = new BodyText();
  /** Bytes as they came, and as they are once their codings are undone. */
  #received = 0;
  #length = 0;
  #decoder: BodyDecoder | null = null;
  #isCut = false;
  #status = 0;
  readonly #headers = new Map<string, string>();
  #controller: Dispatcher.DispatchController | null = null;
  #ended: 'answered' | 'failed' | null = null;
  #signal: AbortSignal | null = null;
  #deadline: NodeJS.Timeout | null = null;

  constructor(
    { resolve, reject }: Pick<PromiseWithResolvers<WholeAnswer>, 'resolve' | 'reject'>,
    { body = '', onChunk }: Asked,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onChunk = onChunk ?? null;
    this.#isOneWrite = body.length <= ONE_WRITE_CHARACTERS;
  }

  /** Until the body's end: fails when the signal says so, or the time is over. */
  limit(signal: AbortSignal, timeoutMs: number): void {
    if (signal.aborted) return this.#stop();
    this.#signal = signal;
    signal.addEventListener('abort', this.#stop);
    this.#deadline = setTimeout(this.#stop, timeoutMs);
  }

  readonly #stop = (): void => {
    this.#fail(new TransportError(this.#controller === null ? 'unsent' : 'sent', 'aborted', {}));
  };

  /** A signal may outlive many exchanges. */
  #unlimit(): void {
    this.#signal?.removeEventListener('abort', this.#stop);
    if (this.#deadline !== null) clearTimeout(this.#deadline);
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
    if (wanted === false) this.#leaveRest();
    if (typeof wanted === 'boolean') return;
    source.pause();
    void wanted.then(
      (isWanted) => (isWanted ? source.resume() : this.#leaveRest()),
      (error: unknown) => this.#fail(error),
    );
  }

  /** The rest of a stream is of no use. */
  #leaveRest(): void {
    if (this.#ended !== null) return;
    this.#answer();
    this.#controller?.abort(new TransportError('sent', 'the rest of a stream is not read', {}));
  }

  onResponseEnd(): void {
    if (this.#decoder === null) this.#answer();
    else this.#decoder.end();
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    const status = this.#status === 0 ? null : this.#status;
    this.#fail(breakOf(error, { isStarted: this.#controller !== null, isOneWrite: this.#isOneWrite, status }));
  }

  #answer(): void {
    if (this.#ended !== null) return;
    this.#ended = 'answered';
    this.#unlimit();
    this.#decoder?.destroy();
    const text = this.#text.end({ isCut: this.#isCut });
    this.#resolve(new WholeAnswer(this.#status, this.#headers, text));
  }

  #fail(error: unknown): void {
    if (this.#ended !== null) return;
    this.#ended = 'failed';
    this.#unlimit();
    this.#decoder?.destroy();
    this.#reject(error);
    this.#controller?.abort(error instanceof Error ? error : new Error('the call failed', { cause: error }));
  }
}
