import type { FastifyReply, FastifyRequest } from 'fastify';
import { unsupportedMediaType } from '../errors.ts';
import { IGNORED_HEADER, ignoredKeys } from '../ignored-keys.ts';
import type { Asked } from '../route.ts';

export type Http = Pick<Asked, 'request' | 'reply'>;

/** A form has no body yet, as it is read when its files are. */
export function refuseForms(request: FastifyRequest): void {
  if (request.isMultipart()) throw unsupportedMediaType('application/json');
}

/** The body of a request that may have these keys. */
export function knownBodyOf({ request, reply }: Http, keys: readonly string[]): unknown {
  refuseForms(request);
  nameIgnored(reply, request.body, keys);
  return request.body;
}

/** Names the keys of a body that are not known in its answer's header. */
export function nameIgnored(reply: FastifyReply, body: unknown, known: readonly string[]): void {
  const ignored = ignoredKeys(body, known);
  if (ignored !== null) reply.header(IGNORED_HEADER, ignored);
}
