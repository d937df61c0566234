import { tierName, tiersOf, type Configuration } from '@spillway/core';
import type { Queues } from '@spillway/redis';
import type { Log } from '@spillway/runtime';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { KeyRing } from '../keys/ring.ts';
import { refuseTenants } from '../metrics.ts';
import { replyError } from '../replies.ts';
import { ReadingAdapter } from './adapter.ts';

const PATH = '/bull-board';

/** Its own files only, whatever it names; React writes styles into its page. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

export type BullBoardOptions = {
  readonly configuration: Configuration;
  readonly queues: Queues;
  readonly keys: KeyRing | null;
  readonly log: Log;
};

/**
 * Serves bull-board, which shows BullMQ's queues as they are, to whoever has an admin's key: a browser asks for it as a
 * password. It changes nothing: a job that somebody moved by hand would be one that a worker counts on. It is loaded only
 * where it is wanted.
 */
export async function serveBullBoard(
  app: FastifyInstance,
  { configuration, queues, keys, log }: BullBoardOptions,
): Promise<void> {
  const [{ createBullBoard }, { BullMQAdapter }] = await Promise.all([
    import('@bull-board/api'),
    import('@bull-board/api/bullMQAdapter'),
  ]);
  const serverAdapter = new ReadingAdapter(PATH);
  createBullBoard({
    queues: tiersOf(configuration).map(
      ({ role, model }) => new BullMQAdapter(queues.of(tierName(role, model)), { readOnlyMode: true }),
    ),
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Spillway' } },
  });
  await app.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      reply.headers({
        'content-security-policy': CONTENT_SECURITY_POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      });
      try {
        await refuseTenants(request, keys, bearerOf(request));
      } catch (error) {
        // Its own handler of errors knows nothing of ours.
        replyError(error, { request, reply, log });
        return reply;
      }
    });
    scope.addHook('onSend', async (_request, reply) => {
      if (reply.statusCode === 401) reply.header('www-authenticate', 'Basic realm="Spillway"');
    });
    await scope.register((own) => serverAdapter.register(own), { prefix: PATH });
  });
}

/** A page that is opened in a browser can send a key only as the password of whatever name. */
function bearerOf({ headers: { authorization = '' } }: FastifyRequest): string {
  const basic = /^Basic +([\w+/=-]+)\s*$/i.exec(authorization)?.[1];
  if (basic === undefined) return authorization;
  const password = Buffer.from(basic, 'base64')
    .toString()
    .replace(/^[^:]*:/, '');
  return `Bearer ${password}`;
}
