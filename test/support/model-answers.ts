import type { ServerResponse } from 'node:http';
import { setTimeout as elapsed } from 'node:timers/promises';
import type { JsonObject } from '@spillway/core';
import { completionBody } from './model-script.ts';
import { eventsOf } from './model-stream.ts';

/** What was asked, as far as an answer goes by it. */
type Asked = { readonly url: string; readonly body: JsonObject; readonly prompt: string };

/** A whole answer, with its length. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string>,
): void {
  const text = JSON.stringify(body);
  const length = String(Buffer.byteLength(text));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers });
  response.end(text);
}

/** A stream of events that all come at once. */
export function sendPieces(
  response: ServerResponse,
  pieces: readonly string[],
  headers: Record<string, string> = {},
): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
  for (const piece of pieces) response.write(piece);
  response.end();
}

/** Until a piece of an answer has left this process. */
export const written = (response: ServerResponse, piece: string | Uint8Array): Promise<void> =>
  new Promise((resolve) => response.write(piece, () => resolve()));

/** The head of an answer and the first of its body. */
export async function sendBeginning(response: ServerResponse, asked: Asked): Promise<void> {
  if (asked.body['stream'] === true) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    return written(response, eventsOf(asked.url, completionBody({ kind: 'completion' }, asked), asked.body)[0] ?? '');
  }
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  return written(response, '{"choices":[');
}

/** An answer that comes by a hundred characters at a time. */
export async function sendSlowly(response: ServerResponse, asked: Asked, pauseMs: number): Promise<void> {
  const body = completionBody({ kind: 'completion' }, asked);
  const isStream = asked.body['stream'] === true;
  const text = isStream ? eventsOf(asked.url, body, asked.body).join('') : JSON.stringify(body);
  response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
  for (let at = 0; at < text.length && !response.destroyed; at += 100) {
    response.write(text.slice(at, at + 100));
    await elapsed(pauseMs);
  }
  response.end();
}

const MIB_OF_TEXT = 'x'.repeat(1024 * 1024);

/** A text of a gigabyte, as fast as it is read. */
export async function sendEndlessly(response: ServerResponse, asked: Asked): Promise<void> {
  const isStream = asked.body['stream'] === true;
  response.on('error', () => undefined);
  response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
  const piece = isStream ? `data: {"choices":[{"index":0,"delta":{"content":"${MIB_OF_TEXT}"}}]}\n\n` : MIB_OF_TEXT;
  if (!isStream) response.write('{"choices":[{"index":0,"message":{"role":"assistant","content":"');
  for (let sent = 0; sent < 1024 && !response.destroyed; sent += 1) {
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

/** Until more can be written, or nobody reads any more. */
function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once('drain', resolve).once('close', resolve);
  return promise.finally(() => response.off('drain', resolve).off('close', resolve));
}

/** What a server says beside a status that a test asked for. */
export function errorOf(status: number): JsonObject {
  return { error: { message: `scripted ${status}`, type: 'scripted', param: null, code: null } };
}
