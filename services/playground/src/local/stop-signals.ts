import { onStopSignals } from '@spillway/runtime';

/** Why a program of ours was asked to stop. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * Listens for the ways in which a person or a supervisor stops a program: the first asks, the second insists.
 * `signal` is aborted, with an Interrupted as its reason, at the first.
 */
export function watchStopSignals(onSecond: () => void): { readonly signal: AbortSignal } & Disposable {
  const stop = new AbortController();
  const watch = onStopSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], {
    onFirst: (name) => stop.abort(new Interrupted(`stopped by ${name}`)),
    onSecond,
  });
  return { signal: stop.signal, [Symbol.dispose]: () => watch[Symbol.dispose]() };
}

/** Waits for the work, or rejects with the signal's reason when that is aborted first. */
export async function unlessStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason as Error);
  promise.catch(() => undefined);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
    // Its own failure, once nobody waits for it, is no news.
    work.catch(() => undefined);
  }
}
