import type { IncomingMessage } from 'node:http';
import { LIMITS, parseJson, type Json } from '@spillway/core';
import { readJson } from '@spillway/runtime';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApiError, badRequest, tooMany, unavailable, unsupportedMediaType } from './errors.ts';
import type { TenantShares } from './tenant-shares.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What it holds of the bytes of all bodies until it is answered. */
    heldBody: Disposable | null;
  }
  interface FastifyContextConfig {
    /** The handler reads the body of this route itself: it gets the text. */
    takesText?: boolean;
  }
}

/** Bytes of all bodies that are held at a time, in this process; a large inline create is a quarter of it. */
export const HELD_BODY_BYTES = 4 * LIMITS.inlineRequestsBytes;

/** The first bytes of a body are nobody's concern: small requests are answered however many large ones there are. */
const FREE_BODY_BYTES = 64 * 1024;

/** A body no larger than this is JSON for a parser, however it is nested. */
export const SMALL_BODY_CHARACTERS = 256 * 1024;

export type BodyOptions = {
  /** A body that does not come within this is refused. */
  readonly bodyMs: number;
  /** Where its bytes are taken from. */
  readonly shares: TenantShares;
};

/** Bodies are JSON. An empty one is no body, whatever its content type: SDKs and curl send such ones to cancel. */
export function parseBodies(app: FastifyInstance, options: BodyOptions): void {
  app.removeAllContentTypeParsers();
  app.decorateRequest('heldBody', null);
  app.addHook('onResponse', async (request) => request.heldBody?.[Symbol.dispose]());
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    using body = new Body(request, options);
    const text = await body.read(payload);
    if (text === '') return undefined;
    if (request.routeOptions.config.takesText !== true) return await readBody(text);
    request.heldBody = body.move();
    return text;
  });
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    using body = new Body(request, options);
    if ((await body.read(payload)) !== '') throw unsupportedMediaType('application/json');
    return undefined;
  });
}

/** What the text of a body says. It is counted before it is parsed. */
export async function readBody(text: string): Promise<Json> {
  const read = await readJson(text, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues });
  if (read.kind === 'json') return read.value;
  if (read.kind === 'no_json') throw invalidJson();
  // What is deep in a small body may be a key that is ignored; whoever needs it looks at its depth.
  const value = text.length <= SMALL_BODY_CHARACTERS ? parseJson(text) : undefined;
  if (value !== undefined) return value;
  if (text.length <= SMALL_BODY_CHARACTERS) throw invalidJson();
  if (read.excess === 'too_many_values') throw tooManyValues(LIMITS.jsonValues);
  throw badRequest(`The body is nested deeper than ${LIMITS.jsonDepth} levels.`);
}

export const invalidJson = (): ApiError =>
  badRequest('The body could not be parsed as JSON.', { code: 'invalid_json' });

/** Values are texts, numbers and the like, and the lists and objects that they are in. */
export function tooManyValues(most: number, param: string | null = null): ApiError {
  const what = param === null ? 'The body' : `'${param}'`;
  return badRequest(`${what} has more than ${most} values.`, { param, code: 'too_many_values' });
}

/** A body while it is read. What it took is given back when it is parsed, or with its request where that holds on to it. */
class Body implements Disposable {
  readonly #request: FastifyRequest;
  readonly #options: BodyOptions;
  #bytes = 0;
  #taken = 0;

  constructor(request: FastifyRequest, options: BodyOptions) {
    this.#request = request;
    this.#options = options;
  }

  /** The text of a body that comes in time, is not too large, and is not too much beside the others. */
  async read(payload: IncomingMessage): Promise<string> {
    const { headers, routeOptions } = this.#request;
    const most = routeOptions.bodyLimit ?? LIMITS.requestBodyBytes;
    if (Number(headers['content-length'] ?? 0) > most) throw tooLarge();
    const chunks: Buffer[] = [];
    const whole = Promise.withResolvers<undefined>();
    const limit = setTimeout(() => whole.reject(tooSlow()), this.#options.bodyMs);
    const onData = (chunk: Buffer): void => {
      this.#bytes += chunk.length;
      const refusal = this.#bytes > most ? tooLarge() : this.#refusal();
      if (refusal === null) chunks.push(chunk);
      else whole.reject(refusal);
    };
    const onEnd = (): void => whole.resolve(undefined);
    const onClose = (): void => whole.reject(badRequest('The body broke off.'));
    payload.on('data', onData).once('end', onEnd).once('error', onClose).once('close', onClose);
    try {
      await whole.promise;
      return Buffer.concat(chunks).toString('utf8');
    } finally {
      clearTimeout(limit);
      // What still comes is read and dropped: a sender in mid-body would never see the answer.
      payload.off('data', onData).off('end', onEnd).off('close', onClose).resume();
    }
  }

  [Symbol.dispose](): void {
    this.#options.shares.giveBack(this.#tenant, this.#taken);
    this.#taken = 0;
  }

  /** Hands what it took on to somebody else who gives it back. */
  move(): Disposable {
    const [tenant, taken] = [this.#tenant, this.#taken];
    this.#taken = 0;
    return { [Symbol.dispose]: () => this.#options.shares.giveBack(tenant, taken) };
  }

  get #tenant(): string {
    return this.#request.caller?.tenant ?? '';
  }

  /** Takes what came; why it is refused where that is too much. */
  #refusal(): ApiError | null {
    const more = this.#bytes - FREE_BODY_BYTES - this.#taken;
    if (more <= 0) return null;
    const short = this.#options.shares.take(this.#tenant, more);
    if (short === null) this.#taken += more;
    if (short === 'own') return tooMany('Too many large bodies are sent at once. Try again in a moment.', 1);
    return short === null ? null : unavailable('Too many large bodies are sent at once. Try again in a moment.');
  }
}

const tooLarge = (): ApiError => new ApiError(413, 'The body is too large.', { code: 'request_too_large' });
const tooSlow = (): ApiError => new ApiError(408, 'The body did not come in time.', { code: 'request_timeout' });
