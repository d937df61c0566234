import type { FastifyReply } from 'fastify';

/** Calls once the answer has ended or its reader has left, also when that was before. */
export function onceGone({ raw }: FastifyReply, then: () => void): void {
  if (raw.destroyed) then();
  else raw.once('close', then);
}
