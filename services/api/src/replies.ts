import type { Socket } from 'node:net';
import { StorageError } from '@spillway/storage';
import { cutText, strictJson } from '@spillway/core';
import type { Log } from '@spillway/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, badRequest, tookTooLong, unavailable, unsupportedMediaType } from './errors.ts';

/** What Fastify and its plugins say of a request that they refuse. */
type FrameworkError = Error & { readonly statusCode?: number; readonly code?: string };

/** Answers an error in the envelope; what is no fault of the client's is logged, and its details are not answered. */
export function replyError(
  error: unknown,
  { request, reply, log }: { request: FastifyRequest; reply: FastifyReply; log: Log },
): void {
  const answered = answerable(error as FrameworkError, request);
  if (answered.status >= 500 && answered !== error) log.error({ err: error, request: request.id }, 'a request failed');
  request.refusal = answered.refusal;
  // Fastify closes the connection of a body that it refuses, and a sender in mid-body would never see the answer.
  reply.removeHeader('connection');
  reply
    .code(answered.status)
    .headers({ 'x-request-id': request.id, ...answered.headers })
    .type('application/json')
    .send(answered.envelope);
}

/** The answers to the framework's refusals, by their code. */
const REFUSALS: ReadonlyMap<string, (request: FastifyRequest) => ApiError> = new Map([
  ['FST_ERR_CTP_BODY_TOO_LARGE', () => new ApiError(413, 'The body is too large.', { code: 'request_too_large' })],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', () => unsupportedMediaType('application/json')],
  ['FST_ERR_BAD_URL', () => badRequest('The address is not a valid URL.')],
  ['FST_ERR_MAX_PARAM_LENGTH', unknownRoute],
  ['FST_ERR_HANDLER_TIMEOUT', lateAnswer],
]);

function lateAnswer({ raw }: FastifyRequest): ApiError {
  if (raw.complete) return tookTooLong();
  return new ApiError(408, 'The body did not come in time.', { code: 'request_timeout' });
}

function answerable(error: FrameworkError, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof StorageError && error.code === 'full') {
    return unavailable(
      'The storage is full: nothing can be stored until there is room. Deleting files makes room.',
      30,
    );
  }
  if (error instanceof StorageError) return unavailable('The storage does not do its work. Try again in a moment.', 5);
  const refusal = REFUSALS.get(error.code ?? '');
  if (refusal !== undefined) return refusal(request);
  const { statusCode = 500, message } = error;
  if (statusCode >= 400 && statusCode < 500) return badRequest(message);
  return new ApiError(500, 'The server had an error while processing your request.');
}

export function unknownRoute({ method, url }: { method: string; url: string }): ApiError {
  return new ApiError(404, `Invalid URL (${method} ${pathOf(url)})`, { code: 'unknown_url' });
}

export function wrongMethod({ method, url }: { method: string; url: string }, allowed: readonly string[]): ApiError {
  const message = `Not allowed to ${method} on ${pathOf(url)}: expected ${allowed.join(' or ')}.`;
  return new ApiError(405, message, { code: 'method_not_supported', headers: { allow: allowed.join(', ') } });
}

const pathOf = (url: string): string => cutText(url.replace(/\?.*$/s, ''), 200);

/**
 * What still comes on a connection whose request was refused is read and dropped for so long: a reset at once would lose
 * the answer on its way.
 */
export const MAX_LINGER_MS = 5_000;

/** Answers what is not HTTP, or too slow or too large to be read as HTTP; a sender that does not read the answer is cut off. */
export function replyUnreadable(error: NodeJS.ErrnoException, socket: Socket, requestId: string): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const linger = setTimeout(() => socket.destroy(), MAX_LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
  const { status, reason, message } = unreadable(error.code);
  const body = strictJson(new ApiError(status, message).envelope);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nx-request-id: ${requestId}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function unreadable(code: string | undefined): { status: number; reason: string; message: string } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, reason: 'Request Header Fields Too Large', message: 'The headers are too large.' };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, reason: 'Request Timeout', message: 'The request did not come in time.' };
  }
  return { status: 400, reason: 'Bad Request', message: 'The request is not valid HTTP.' };
}
