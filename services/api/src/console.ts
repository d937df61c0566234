import { loadConsole, type Asset, type Console } from '@spillway/console';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { unknownRoute } from './replies.ts';

/**
 * Serves the console: a page, and what it is made of. It knows nothing; what it shows it asks the API for, with the key
 * that somebody gave it. It is read when somebody asks for it first.
 */
export function serveConsole(app: FastifyInstance): void {
  let loading: Promise<Console> | null = null;
  const send = async (request: FastifyRequest, reply: FastifyReply): Promise<Buffer | null> => {
    loading ??= loadConsole().catch((error: unknown) => {
      // The next one reads it again.
      loading = null;
      throw error;
    });
    const { assets, contentSecurityPolicy } = await loading;
    const asset = assets.get(new URL(request.url, 'http://console').pathname);
    if (asset === undefined) throw unknownRoute(request);
    reply.headers({ ...headersOf(asset), 'content-security-policy': contentSecurityPolicy });
    if (request.headers['if-none-match'] !== asset.etag) return asset.body;
    reply.code(304);
    return null;
  };
  for (const url of ['/', '/console/*']) app.get(url, send);
}

const headersOf = ({ type, etag }: Asset): Record<string, string> => ({
  'content-type': type,
  etag,
  // Asked for again each time, which costs nothing where it is the same.
  'cache-control': 'no-cache',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
});
