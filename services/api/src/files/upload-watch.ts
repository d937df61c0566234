import type { IncomingMessage } from 'node:http';
import { LIMITS } from '@spillway/core';
import { ApiError, shown } from '../errors.ts';

/** Less than this within the limit counts as silence: a byte now and then must not hold a connection for ever. */
const MIN_BYTES = 16 * 1024;

/** How often, within the limit, the sender is checked. */
const CHECKS = 4;

/**
 * Watches the sender of an upload; `stalled` is aborted, with a 408 as its reason, when it falls silent or goes away.
 * `fileName` is asked then, as the name comes with the body.
 */
export function watchUpload(
  request: IncomingMessage,
  { idleMs, fileName }: { readonly idleMs: number; readonly fileName: () => string | null },
): Disposable & { readonly stalled: AbortSignal } {
  const { socket } = request;
  const stalled = new AbortController();
  let bytes = socket.bytesRead;
  const startedAtMs = Date.now();
  let movedAtMs = startedAtMs;
  const check = (): void => {
    // Reading a request that is gone already neither fails nor ends.
    if (request.destroyed && !request.complete) return refuse('its sender went away');
    // A paused request waits for our storage, not for its sender.
    if (socket.bytesRead - bytes >= MIN_BYTES || request.complete || request.isPaused()) {
      bytes = socket.bytesRead;
      movedAtMs = Date.now();
    } else if (Date.now() - movedAtMs >= idleMs) {
      refuse(`less than ${MIN_BYTES} bytes came within ${idleMs / 1000} seconds`);
    }
    if (Date.now() - startedAtMs >= LIMITS.uploadMs) refuse(`it took longer than ${LIMITS.uploadMs / 1000} seconds`);
  };
  const refuse = (why: string): void => {
    clearInterval(timer);
    const name = fileName();
    const upload = name === null ? 'The upload' : `The upload of '${shown(name)}'`;
    stalled.abort(new ApiError(408, `${upload} stalled: ${why}.`, { code: 'upload_stalled' }));
  };
  const timer = setInterval(check, idleMs / CHECKS);
  return { stalled: stalled.signal, [Symbol.dispose]: () => clearInterval(timer) };
}
