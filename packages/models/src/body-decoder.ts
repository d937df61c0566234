import { pipeline, type Duplex, Transform, type TransformCallback } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  type Inflate,
  type InflateRaw,
} from 'node:zlib';

/** More codings than this one upon the other are no server's, but somebody's who wants our time; the SDK's fetch says so too. */
const MAX_CODINGS = 5;

/** As the SDK's fetch and curl: what could be read of a body whose end is missing counts, its JSON says whether it is whole. */
const LENIENT = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH };

/** Memory that a server may make a decoder take (RFC 9659). */
const ZSTD = {
  finishFlush: constants.ZSTD_e_end,
  params: { [constants.ZSTD_d_windowLogMax]: 23 },
};

const BROTLI = { flush: constants.BROTLI_OPERATION_FLUSH, finishFlush: constants.BROTLI_OPERATION_FLUSH };

const CODINGS: ReadonlyMap<string, () => Duplex> = new Map<string, () => Duplex>([
  ['gzip', () => createGunzip(LENIENT)],
  ['x-gzip', () => createGunzip(LENIENT)],
  ['deflate', () => new EitherInflate()],
  ['br', () => createBrotliDecompress(BROTLI)],
  ['zstd', () => createZstdDecompress(ZSTD)],
]);

/** What an answer's `content-encoding` asks of whoever reads it. */
export type Decoding =
  | { readonly kind: 'none' }
  | { readonly kind: 'decoders'; readonly decoders: readonly [Duplex, ...Duplex[]] }
  | { readonly kind: 'too_many' };

/**
 * The decoders for a body, in the order in which it goes through them. A coding that is not known is taken for none, as
 * the SDK's fetch does: some servers write `utf-8` there; a body that is coded all the same is then no JSON.
 */
export function decodingOf(header: unknown): Decoding {
  const text = Array.isArray(header) ? header.join(',') : header;
  if (typeof text !== 'string') return { kind: 'none' };
  const names = text.split(',').map((name) => name.trim().toLowerCase());
  const codings = names.filter((name) => name !== '' && name !== 'identity');
  if (codings.length > MAX_CODINGS) return { kind: 'too_many' };
  const [first, ...rest] = codings.toReversed().map((name) => CODINGS.get(name));
  if (first === undefined || rest.includes(undefined)) return { kind: 'none' };
  return { kind: 'decoders', decoders: [first(), ...rest.flatMap((open) => open?.() ?? [])] };
}

/** What becomes of a decoded body. */
export type DecodedBody = {
  readonly onData: (chunk: Buffer) => void;
  readonly onEnd: () => void;
  readonly onError: (error: Error) => void;
  /** More may be written after `write` has said no. */
  readonly onDrain: () => void;
};

/**
 * Undoes the codings of one body while it comes. Holds no more of it than the streams' own buffers, however much a body
 * is blown up: what is not taken is not decoded, and what is not decoded is not asked for.
 */
export class BodyDecoder {
  readonly #first: Duplex;
  readonly #last: Duplex;

  constructor(decoders: readonly [Duplex, ...Duplex[]], { onData, onEnd, onError, onDrain }: DecodedBody) {
    const [first] = decoders;
    this.#first = first;
    this.#last = decoders.at(-1) ?? first;
    if (decoders.length > 1) pipeline(decoders, (error) => error && onError(error));
    else first.on('error', onError);
    first.on('drain', onDrain);
    this.#last.on('data', onData);
    this.#last.once('end', onEnd);
  }

  /** False: no more is to be written before `onDrain`. */
  write(chunk: Buffer): boolean {
    return this.#first.write(chunk);
  }

  end(): void {
    this.#first.end();
  }

  /** No more data before `resume`. */
  pause(): void {
    this.#last.pause();
  }

  resume(): void {
    this.#last.resume();
  }

  /** Nothing is wanted any more. */
  destroy(): void {
    this.#first.destroy();
    this.#last.destroy();
  }
}

/** `deflate` is a zlib stream (RFC 9110), but some servers send only what is in one. The first byte tells which. */
class EitherInflate extends Transform {
  #inflate: Inflate | InflateRaw | null = null;

  override _transform(chunk: Buffer, encoding: BufferEncoding, callback: TransformCallback): void {
    const [byte] = chunk;
    if (byte === undefined) return callback();
    this.#inflate ??= this.#open((byte & 0x0f) === 8 ? createInflate(LENIENT) : createInflateRaw(LENIENT));
    this.#inflate.write(chunk, encoding, callback);
  }

  override _read(size: number): void {
    this.#inflate?.resume();
    super._read(size);
  }

  override _flush(callback: TransformCallback): void {
    if (this.#inflate === null) return callback();
    this.#inflate.once('end', callback);
    this.#inflate.end();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#inflate?.destroy();
    callback(error);
  }

  #open<Stream extends Inflate | InflateRaw>(inflate: Stream): Stream {
    inflate.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inflate.pause();
    });
    inflate.on('error', (error) => this.destroy(error));
    return inflate;
  }
}
