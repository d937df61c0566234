import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { strictJson } from '@spillway/core';
import { METRICS_CONTENT_TYPE, type Meters } from '@spillway/runtime';
import { answerChat } from './chat.ts';
import { answerCompletion } from './completions.ts';
import type { Body } from './fields.ts';
import { isBody } from './fields.ts';
import type { Log } from './log.ts';
import { ProtocolError, unknownModel } from './protocol-error.ts';
import { answerResponse } from './responses.ts';
import type { ServedModels } from './served-model.ts';

/** Documents of this task have a few hundred characters; a megabyte is already far more than the context holds. */
const MAX_BODY_BYTES = 1024 * 1024;

/** One object, or the server-sent events of a stream as they are written. */
type Answer = object | AsyncGenerator<string>;

type Endpoint = (models: ServedModels, body: Body) => Promise<object> | AsyncGenerator<string>;

const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map([
  ['/v1/chat/completions', answerChat],
  ['/v1/completions', answerCompletion],
  ['/v1/responses', answerResponse],
]);

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > MAX_BODY_BYTES) throw new ProtocolError(413, `The body is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new ProtocolError(400, `The body is not JSON: ${String(cause)}`);
  }
  if (!isBody(body)) throw new ProtocolError(400, 'The body must be a JSON object');
  return body;
}

function describeModel(name: string, contextTokens: number): object {
  return { id: name, object: 'model', created: 1767225600, owned_by: 'spillway', max_model_len: contextTokens };
}

function describeModels(models: ServedModels, path: string): object {
  const described = [...models.values()].map(({ thread }) => describeModel(thread.name, thread.shape.contextTokens));
  if (path === '/v1/models') return { object: 'list', data: described };
  const name = decodeURIComponent(path.slice('/v1/models/'.length));
  const served = models.get(name);
  if (served === undefined) throw unknownModel(name);
  return describeModel(name, served.thread.shape.contextTokens);
}

async function answer(models: ServedModels | undefined, request: IncomingMessage): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'http://playground');
  if (models === undefined) {
    throw new ProtocolError(503, 'The models are still loading', { code: 'model_loading', retryAfterSeconds: 1 });
  }
  if (request.method === 'GET' && pathname === '/health') return { status: 'ok' };
  if (request.method === 'GET' && (pathname === '/v1/models' || pathname.startsWith('/v1/models/')))
    return describeModels(models, pathname);
  const endpoint = ENDPOINTS.get(pathname);
  if (request.method === 'POST' && endpoint !== undefined) return endpoint(models, await readBody(request));
  throw new ProtocolError(404, `Unknown request URL: ${request.method} ${pathname}`, { code: 'unknown_url' });
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = strictJson(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers })
    .end(text);
}

async function sendMetrics(response: ServerResponse, meters: Meters): Promise<void> {
  response.setHeader('content-type', METRICS_CONTENT_TYPE).end(await meters.text());
}

/** A client that goes away ends the loop, and that cancels the generation. */
async function sendStream(response: ServerResponse, events: AsyncGenerator<string>): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  for await (const event of events) {
    if (response.destroyed) return;
    response.write(event);
  }
  response.end();
}

function refuse(response: ServerResponse, error: unknown, log: Log): void {
  const known = error instanceof ProtocolError ? error : new ProtocolError(500, 'The server failed');
  if (known !== error) log('error', 'request failed', { error: error instanceof Error ? error.stack : String(error) });
  // After the first event of a stream the status is already sent; breaking off is the only honest thing left.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const retry = known.retryAfterSeconds === undefined ? {} : { 'retry-after': String(known.retryAfterSeconds) };
  sendJson(response, known.status, known.toEnvelope(), retry);
}

function isStream(answered: Answer): answered is AsyncGenerator<string> {
  return Symbol.asyncIterator in answered;
}

/** The server speaks at once, and says 503 until `findModels` has something to give. */
export function createPlaygroundServer(
  findModels: () => ServedModels | undefined,
  { log, meters }: { readonly log: Log; readonly meters: Meters },
): Server {
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const startedAt = performance.now();
    try {
      if (request.method === 'GET' && request.url === '/metrics') return await sendMetrics(response, meters);
      const answered = await answer(findModels(), request);
      if (isStream(answered)) await sendStream(response, answered);
      else sendJson(response, 200, answered);
    } catch (error) {
      refuse(response, error, log);
    }
    const durationMs = Math.round(performance.now() - startedAt);
    log('debug', 'request', { method: request.method, path: request.url, status: response.statusCode, durationMs });
  };
  return createServer((request, response) => void handle(request, response));
}
