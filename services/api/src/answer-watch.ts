import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** Less than this within the limit counts as not reading: a byte now and then must not hold an answer for ever. */
const MIN_BYTES = 16 * 1024;

/** Of what was written in one piece it shows only at its end that it was read; so many bytes of it have a second more. */
const PIECE_BYTES_PER_SECOND = 16 * 1024;

/** How often, within the limit, the reader is checked. */
const CHECKS = 4;

/** Closes the connections of readers that take hardly anything of what waits for them. */
export function watchAnswers(app: FastifyInstance, idleMs: number): void {
  app.addHook('onSend', async (_request, reply) => watchReader(reply.raw, idleMs));
}

/** What waits in this process is what its reader did not take; an answer that is still being made waits for nobody. */
export function watchReader(response: ServerResponse, idleMs: number): void {
  // Gone before its answer was there: it says so no second time.
  if (response.destroyed) return;
  let passed = passedOn(response);
  let movedAtMs = Date.now();
  const check = (): void => {
    const waiting = response.writableLength;
    if (waiting === 0 || passedOn(response) - passed >= MIN_BYTES) {
      passed = passedOn(response);
      movedAtMs = Date.now();
    } else if (Date.now() - movedAtMs >= idleMs + (waiting / PIECE_BYTES_PER_SECOND) * 1_000) {
      response.destroy();
    }
  };
  const timer = setInterval(check, idleMs / CHECKS);
  response.once('close', () => clearInterval(timer));
}

/** Bytes that left this process. */
const passedOn = ({ socket }: ServerResponse): number =>
  socket === null ? 0 : socket.bytesWritten - socket.writableLength;
