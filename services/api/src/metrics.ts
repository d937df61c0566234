import { METRICS_CONTENT_TYPE, type Meters } from '@spillway/runtime';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authenticate, type Caller } from './auth.ts';
import { ApiError } from './errors.ts';
import type { KeyRing } from './keys/ring.ts';
import { refuseForeign } from './origin.ts';

/** Serves `/metrics` to whoever has an admin's key; without a key they are on HEALTH_PORT. */
export function serveMetrics(app: FastifyInstance, meters: Meters, keys: KeyRing | null): void {
  app.get('/metrics', async (request, reply) => {
    await refuseTenants(request, keys);
    reply.type(METRICS_CONTENT_TYPE);
    return await meters.text();
  });
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    const route = routeOptions.url ?? 'none';
    const status = reply.statusCode;
    meters.time('http.server.request.duration', reply.elapsedTime / 1000, {
      'http.request.method': method,
      'http.route': route,
      'http.response.status_code': status,
    });
  });
}

/** What shows more than one tenant needs the admin role, by the request's key or by another one that it brings. */
export async function refuseTenants(
  request: FastifyRequest,
  keys: KeyRing | null,
  authorization = request.headers.authorization,
): Promise<void> {
  if (keys === null) refuseForeign(request, []);
  refuseOthers(await authenticate(keys, authorization));
}

/** The same for whoever is known already. */
export function refuseOthers({ role }: Caller): void {
  if (role === 'admin') return;
  throw new ApiError(403, 'This needs a key with the admin role.', { code: 'admin_only', refusal: 'not_admin' });
}
