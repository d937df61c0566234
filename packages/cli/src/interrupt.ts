import { EXIT } from './exit-codes.ts';
import { UserError } from './client.ts';

/** Somebody pressed Ctrl-C, or asked the process to end. */
export class Interrupted extends UserError {
  constructor(message = 'stopped before anything was asked for') {
    super(message, { exitCode: EXIT.interrupted });
  }
}

/** A terminal may send a signal to this process and to the one that started it, which passes it on. */
const SAME_MS = 1_000;

/** Aborts at the first signal; a second one, later, ends the process at once. */
export function watchInterrupt(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  let atMs = 0;
  const stop = (): void => {
    if (!controller.signal.aborted) {
      atMs = performance.now();
      controller.abort(new Interrupted());
    } else if (performance.now() - atMs > SAME_MS) process.exit(EXIT.interrupted);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, stop);
    },
  };
}
