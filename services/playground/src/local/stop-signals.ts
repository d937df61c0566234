/** Why a program of ours was asked to stop. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** npm passes a Ctrl-C on that the terminal has sent us already; a person needs longer between two. */
const SAME_MS = 500;

/**
 * Listens for the ways in which a person or a supervisor stops a program: the first asks, the second insists.
 * `signal` is aborted, with an Interrupted as its reason, at the first.
 */
export function watchStopSignals(onSecond: () => void): { readonly signal: AbortSignal } & Disposable {
  const stop = new AbortController();
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let firstAtMs = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    if (!stop.signal.aborted) {
      firstAtMs = performance.now();
      stop.abort(new Interrupted(`stopped by ${name}`));
    } else if (performance.now() - firstAtMs > SAME_MS) {
      onSecond();
    }
  };
  for (const name of names) process.on(name, onSignal);
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
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
