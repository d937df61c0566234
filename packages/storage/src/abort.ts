/**
 * Yields what the source yields, and throws the signal's reason as soon as it aborts, also while the
 * source is silent. Each step has a promise of its own: racing one promise for the whole time would
 * keep every chunk in memory until the end.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, void> {
  const iterator = source[Symbol.asyncIterator]();
  let step: PromiseWithResolvers<IteratorResult<T>> | null = null;
  let ended = false;
  const onAbort = (): void => step?.reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    for (;;) {
      signal.throwIfAborted();
      step = Promise.withResolvers<IteratorResult<T>>();
      iterator.next().then(step.resolve, step.reject);
      const next = await step.promise;
      step = null;
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    const closing = ended ? undefined : iterator.return?.();
    // A source that is silent or has failed cannot be waited for; between two chunks it can.
    if (step === null) await closing;
    else closing?.catch(() => undefined);
  }
}
