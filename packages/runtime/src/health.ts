import { createServer, type Server } from 'node:http';
import { SetupError } from './env.ts';

/** What a probe is told; `detail` says why not. */
export type Health = { readonly ok: boolean; readonly detail: string };

export type Probes = {
  /** Not ok: the process must be replaced. */
  readonly live: () => Health | Promise<Health>;
  /** Not ok: no work for it now. */
  readonly ready: () => Health | Promise<Health>;
};

/** Serves `/health/live` and `/health/ready` for a service without HTTP of its own. */
export async function serveHealth(host: string, port: number, probes: Probes): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    const probe = request.url === '/health/live' ? probes.live : request.url === '/health/ready' ? probes.ready : null;
    if (probe === null) {
      response.writeHead(404).end();
      return;
    }
    Promise.try(probe)
      .catch((error: unknown): Health => ({ ok: false, detail: String(error) }))
      .then((health) => {
        response.writeHead(health.ok ? 200 : 503, { 'content-type': 'application/json' });
        response.end(JSON.stringify(health));
      })
      .catch(() => response.destroy());
  });
  await listen(server, host, port, 'HEALTH_PORT');
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
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
