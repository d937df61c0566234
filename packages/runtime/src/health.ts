import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { strictJson } from '@spillway/core';
import { SetupError, type EnvReader } from './env.ts';
import { hasSeveralHosts, isNamedOnPurpose } from './host-name.ts';
import type { Log } from './log.ts';
import { METRICS_CONTENT_TYPE, type Meters } from './telemetry/meters.ts';
import { countRefusal } from './telemetry/refusals.ts';

/** What a probe gets as its answer; `detail` says why not. */
export type Health = { readonly ok: boolean; readonly detail: string };

/** A probe is asked every few seconds and must be answered sooner; what takes longer to be known is not known. */
export const MAX_PROBE_MS = 2_000;

/** A question here is a line and a few headers; its sender has this long. */
const MAX_REQUEST_MS = 10_000;

export type Probes = {
  /** Not ok: the process must be replaced. */
  readonly live: () => Health | Promise<Health>;
  /** Not ok: no work for it now. */
  readonly ready: () => Health | Promise<Health>;
};

/** What else a service answers without a key; null: there is no such path. */
export type PlainAnswer = { readonly status: number; readonly body: unknown };

/** Where probes and metrics are served, and the names by which they may be asked beside addresses and names of a cluster. */
export type HealthPlace = { readonly host: string; readonly port: number; readonly names: readonly string[] };

/** Reads where this process serves its probes and metrics; null: the operator wants none. */
export function healthPlace(reader: EnvReader): HealthPlace | null {
  const port = reader.integer('HEALTH_PORT', { fallback: -1, min: 0, max: 65_535 });
  const names = (reader.list('SPILLWAY_HEALTH_HOSTS') ?? []).map((name) => name.toLowerCase());
  const host = reader.text('HOST') ?? '127.0.0.1';
  return port === -1 ? null : { host, port, names };
}

/** Of a process' life: what is shown here, and where it says what it refused. */
type Watched = { readonly log: Log; readonly telemetry: { readonly meters: Meters } };

/** Serves `/health/live`, `/health/ready` and `/metrics` on a port of their own. */
export async function serveHealth(
  { host, port, names }: HealthPlace,
  probes: Probes,
  process: Watched,
  answer: (path: string) => Promise<PlainAnswer | null> = async () => null,
): Promise<AsyncDisposable & { readonly port: number }> {
  const { meters } = process.telemetry;
  countRefusal(meters, 'foreign_page', 0);
  const server = createServer(
    { headersTimeout: MAX_REQUEST_MS, requestTimeout: MAX_REQUEST_MS },
    (request, response) => {
      const refusal = refusalOf(request, names);
      if (refusal !== null) {
        noteRefusal(refusal, request, process);
        return void sendAnswer(Promise.resolve(refusal), response);
      }
      if (request.url === '/metrics') return void sendMetrics(meters, response);
      const probe =
        request.url === '/health/live' ? probes.live : request.url === '/health/ready' ? probes.ready : null;
      if (probe === null) return void sendAnswer(answer(request.url ?? ''), response);
      Promise.try(probe)
        .catch((error: unknown): Health => ({ ok: false, detail: String(error) }))
        .then((health) => {
          response.writeHead(health.ok ? 200 : 503, { 'content-type': 'application/json' });
          response.end(strictJson(health));
        })
        .catch(() => response.destroy());
    },
  );
  await listen(server, host, port, 'HEALTH_PORT');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As nobody shows a key here, only whoever named this process on purpose is answered, and no page of a browser. */
function refusalOf({ headers, rawHeaders }: IncomingMessage, names: readonly string[]): PlainAnswer | null {
  if (hasSeveralHosts(rawHeaders)) return { status: 400, body: { error: 'several Host headers' } };
  const isForeign = headers.host !== undefined && !isNamedOnPurpose(headers.host, names);
  if (!isForeign && headers.origin === undefined) return null;
  const error = 'asked by a name that is neither an address nor in SPILLWAY_HEALTH_HOSTS, or by a page of a browser';
  return { status: 403, body: { error } };
}

/** In the words of the API's line of a request. */
function noteRefusal({ status }: PlainAnswer, { method, socket }: IncomingMessage, { log, telemetry }: Watched): void {
  if (status !== 403) return;
  log.info({ method, route: 'HEALTH_PORT', refused: 'foreign_page', from: socket.remoteAddress, status }, 'request');
  countRefusal(telemetry.meters, 'foreign_page');
}

async function sendAnswer(answer: Promise<PlainAnswer | null>, response: ServerResponse): Promise<void> {
  const { status, body } = await answer
    .then((given) => given ?? { status: 404, body: { error: 'no such path' } })
    .catch((error: unknown) => ({ status: 500, body: { error: String(error) } }));
  response.writeHead(status, { 'content-type': 'application/json' }).end(strictJson(body));
}

async function sendMetrics(meters: Meters, response: ServerResponse): Promise<void> {
  try {
    response.setHeader('content-type', METRICS_CONTENT_TYPE).end(await meters.text());
  } catch {
    response.writeHead(500).end();
  }
}

/** Listens, or says in one line why it cannot. */
export async function listen(server: Server, host: string, port: number, variable: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port, variable)));
  server.listen(port, host, resolve);
  await promise;
}

/** What a failure to listen means for the operator. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number, variable: string): Error {
  if (error.code === 'EADDRINUSE') {
    return new SetupError(
      `Port ${port} on ${host} is taken: stop what listens there or set ${variable} to another one`,
    );
  }
  if (error.code === 'EACCES') {
    return new SetupError(
      `Port ${port} on ${host} needs rights that this user lacks: set ${variable} to one above 1023`,
    );
  }
  if (error.code === 'EADDRNOTAVAIL') {
    return new SetupError(`${host} is no address of this machine: set HOST to one that is`);
  }
  return error;
}
