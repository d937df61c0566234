import { randomBytes } from 'node:crypto';
import cors from '@fastify/cors';
import multipart from '@fastify/multipart';
import { LIMITS, strictJson } from '@spillway/core';
import { countRefusal, REFUSAL_REASONS, type Health, type Log, type Meters, type Refusal } from '@spillway/runtime';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { authenticate, type Caller } from './auth.ts';
import { HELD_BODY_BYTES, parseBodies } from './body.ts';
import { serveConsole } from './console.ts';
import { live } from './health.ts';
import { IGNORED_HEADER } from './ignored-keys.ts';
import type { KeyRing } from './keys/ring.ts';
import type { ScalingSignal } from './scaling.ts';
import { MAX_LINGER_MS, replyError, replyUnreadable, unknownRoute, wrongMethod } from './replies.ts';
import type { Route } from './route.ts';
import { openApiOf } from './openapi.ts';
import { serveInternal } from './internal.ts';
import { serveMetrics } from './metrics.ts';
import { refuseForeign, refuseSeveralHosts } from './origin.ts';
import { TenantShares } from './tenant-shares.ts';
import { watchAnswers } from './answer-watch.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on routes that need no key. */
    caller: Caller | null;
    /** Why its sender may not do what it asked for; null: it may, or nobody knows. */
    refusal: Refusal | null;
  }
}

/** Headers come at once or not at all. */
const MAX_HEADERS_MS = 30_000;
const CHECK_FOR_SLOW_HEADERS_MS = 5_000;

const newRequestId = (): string => `req_${randomBytes(12).toString('hex')}`;

/** What the server is made of. */
export type ServerParts = {
  /** The routes that need a key. They answer with and without `/v1` before them. */
  readonly routes: readonly Route[];
  /** Null: no keys, everything belongs to one tenant. */
  readonly keys: KeyRing | null;
  readonly scaling: ScalingSignal;
  readonly ready: () => Promise<Health>;
  readonly meters: Meters;
  readonly log: Log;
  /** Origins whose pages may call; `*` is any. */
  readonly corsOrigins: readonly string[];
  readonly uploadIdleMs: number;
  /** A body that is no file comes within this. */
  readonly bodyMs: number;
};

/** The API as a server that does not listen yet. */
export async function buildServer(parts: ServerParts): Promise<FastifyInstance> {
  const { routes, keys, scaling, ready, meters, log, corsOrigins, uploadIdleMs, bodyMs } = parts;
  const app = Fastify({
    logger: false,
    trustProxy: false,
    genReqId: newRequestId,
    bodyLimit: LIMITS.requestBodyBytes,
    return503OnClosing: false,
    connectionTimeout: 2 * uploadIdleMs,
    http: { headersTimeout: MAX_HEADERS_MS, connectionsCheckingInterval: CHECK_FOR_SLOW_HEADERS_MS },
    frameworkErrors: (error, request, reply) => replyError(error, { request, reply, log }),
    clientErrorHandler: (error, socket) => replyUnreadable(error, socket, newRequestId()),
  });
  app.setReplySerializer(strictJson);
  app.decorateRequest('caller', null);
  app.decorateRequest('refusal', null);
  await allowOrigins(app, corsOrigins);
  app.setErrorHandler((error, request, reply) => replyError(error, { request, reply, log }));
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    refuseSeveralHosts(request);
    if (request.is404) throw unknownRoute(request);
  });
  app.setNotFoundHandler((request) => {
    throw unknownRoute(request);
  });
  logRequests(app, { log, meters });
  parseBodies(app, { bodyMs, shares: new TenantShares(HELD_BODY_BYTES, { isShared: keys !== null }) });
  watchAnswers(app, uploadIdleMs);
  await app.register(multipart);
  serveMetrics(app, meters, keys);
  serveInternal(app, scaling, keys);
  serveConsole(app);
  const description = openApiOf(routes);
  app.get('/openapi.json', async () => description);
  app.get('/health/live', live);
  app.get('/health/ready', async (_request, reply) => {
    const health = await ready();
    if (!health.ok) reply.code(503).header('retry-after', '1');
    return health;
  });
  for (const prefix of ['/v1', '']) {
    await app.register(async (scope) => serve(scope, routes, { keys, corsOrigins }), { prefix });
  }
  return app;
}

/** What a page in a browser may see of an answer, beside its body. */
const EXPOSED_HEADERS = ['x-request-id', 'retry-after', 'content-disposition', 'content-range', IGNORED_HEADER];
const PREFLIGHT_SECONDS = 600;

/** Lets pages of these origins call. It comes before everything else, so that errors can be read there too. */
async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
  });
}

/** Serves the routes, each behind a key; their other methods are answered with 405. */
function serve(
  scope: FastifyInstance,
  routes: readonly Route[],
  { keys, corsOrigins }: { keys: KeyRing | null; corsOrigins: readonly string[] },
): void {
  scope.addHook('onRequest', async (request) => {
    if (keys === null) refuseForeign(request, corsOrigins);
    request.caller = await authenticate(keys, request.headers.authorization);
  });
  for (const { method, url, limitMs, bodyBytes, takesText, answer } of routes) {
    scope.route({
      method,
      url,
      ...(limitMs === null ? {} : { handlerTimeout: limitMs }),
      ...(bodyBytes === undefined ? {} : { bodyLimit: bodyBytes }),
      config: takesText === undefined ? {} : { takesText },
      handler: async (request, reply) => answer({ request, reply, query: undefined, ...callOf(request) }),
    });
  }
  for (const [url, methods] of Map.groupBy(routes, (route) => route.url)) {
    const allowed = methods.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    const refuse = async (request: FastifyRequest): Promise<never> => {
      throw wrongMethod(request, allowed);
    };
    const others = scope.supportedMethods.filter((method) => !allowed.includes(method));
    scope.route({ method: others, url, onRequest: refuse, handler: refuse });
  }
}

function callOf({ caller, params, headers }: FastifyRequest) {
  if (caller === null) throw new Error('A route of a tenant was reached without one');
  const { id = '' } = params as { id?: string };
  const key = headers['idempotency-key'];
  const idempotencyKey = typeof key === 'string' && key !== '' ? key : null;
  return { caller, tenant: caller.tenant, id, idempotencyKey };
}

/**
 * One log line for each request: changes, refusals and failures always, reads at `debug` only. A 503 is said by what
 * keeps the service from its work; a refusal without what its sender may not know of.
 */
function logRequests(app: FastifyInstance, { log, meters }: Pick<ServerParts, 'log' | 'meters'>): void {
  for (const reason of REFUSAL_REASONS) countRefusal(meters, reason, 0);
  app.addHook('onResponse', async (request, reply) => {
    const { raw, method, caller, refusal } = request;
    const { statusCode: status } = reply;
    const isRead = method === 'GET' || method === 'HEAD';
    const level =
      status >= 500 && status !== 503 ? 'warn' : isRead && status < 500 && refusal === null ? 'debug' : 'info';
    const { url: route = null } = request.routeOptions;
    const { id } = (route === null ? {} : request.params) as { id?: string };
    const whose = refusal === null ? { id, tenant: caller?.tenant } : { refused: refusal, from: request.ip };
    const fields = { status, ms: Math.round(reply.elapsedTime), request: request.id };
    log[level]({ method, route, ...whose, ...fields }, 'request');
    if (refusal !== null) countRefusal(meters, refusal);
    if (raw.complete) return;
    const linger = setTimeout(() => raw.destroy(), MAX_LINGER_MS);
    raw.once('close', () => clearTimeout(linger));
  });
}
