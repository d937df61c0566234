import { hasSeveralHosts, hostName, isLoopback } from '@spillway/runtime';
import type { FastifyRequest } from 'fastify';
import { ApiError, badRequest } from './errors.ts';

/**
 * Without keys whoever reaches the API may do everything, and a browser on this machine reaches it for any page it
 * shows: by a form, or by a name that was made to lead here. So only this machine's own names are answered.
 */
export function refuseForeign({ headers, host }: FastifyRequest, allowed: readonly string[]): void {
  const { origin } = headers;
  const fits = isOwn(`http://${host}`) && (origin === undefined || isOwn(origin) || allowed.includes(origin));
  if (fits || allowed.includes('*')) return;
  const message = 'Without keys only pages and names of this machine are answered: set SPILLWAY_API_KEYS.';
  throw new ApiError(403, message, { code: 'foreign_origin', refusal: 'foreign_page' });
}

/** Of two Host headers a proxy may have read the other one. */
export function refuseSeveralHosts({ raw }: FastifyRequest): void {
  if (hasSeveralHosts(raw.rawHeaders)) throw badRequest('The request has several Host headers.');
}

const isOwn = (url: string): boolean => isLoopback(hostName(url));
