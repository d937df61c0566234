import type { IncomingMessage } from 'node:http';
import { LIMITS } from '@spillway/core';
import { ApiError } from '../errors.ts';

/** Less than this within the limit counts as silence: a byte now and then must not hold a connection for ever. */
const LEAST_BYTES = 16 * 1024;

/** How often, within the limit, the sender is looked at. */
const LOOKS = 4;

/** Watches the sender of an upload; `stalled` is aborted, with a 408 as its reason, when it falls silent. */
export function watchPace(request: IncomingMessage, idleMs: number): Disposable & { readonly stalled: AbortSignal } {
  const { socket } = request;
  const stalled = new AbortController();
  let bytes = socket.bytesRead;
  const beganMs = Date.now();
  let sinceMs = beganMs;
  const look = (): void => {
    // A paused request waits for our storage, not for its sender.
    if (socket.bytesRead - bytes >= LEAST_BYTES || request.complete || request.isPaused()) {
      bytes = socket.bytesRead;
      sinceMs = Date.now();
    } else if (Date.now() - sinceMs >= idleMs) {
      refuse(`less than ${LEAST_BYTES} bytes came within ${idleMs / 1000} seconds`);
    }
    if (Date.now() - beganMs >= LIMITS.uploadMs) refuse(`it took longer than ${LIMITS.uploadMs / 1000} seconds`);
  };
  const refuse = (why: string): void => {
    clearInterval(timer);
    stalled.abort(new ApiError(408, `The upload stalled: ${why}.`, { code: 'upload_stalled' }));
  };
  const timer = setInterval(look, idleMs / LOOKS);
  return { stalled: stalled.signal, [Symbol.dispose]: () => clearInterval(timer) };
}
