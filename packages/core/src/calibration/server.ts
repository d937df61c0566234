import { digest } from '../text/digest.ts';

/**
 * A model server by its address, in 12 hex digits: enough to tell two apart, and nobody who reads them learns of an
 * address. User, password and query are no part of it.
 */
export function serverDigest(baseUrl: string): string {
  const { origin, pathname } = new URL(baseUrl);
  return digest('model server', origin, pathname.replace(/\/+$/, '')).slice(0, 12);
}
