import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Attempt, ModelCall, ModelOptions } from './client.ts';

/** What the child is asked; it sends back an Attempt. */
export type IsolatedRequest = {
  readonly model: Omit<ModelOptions, 'onNotice'>;
  readonly call: Omit<ModelCall, 'signal'>;
};

/** A child that does not end by its call's deadline is ended; the surplus is for starting it. */
const START_MS = 15_000;

/**
 * Asks a model in a child process that does nothing else, for a document whose handling may end the process. Its death
 * is a failed attempt of that document, and nobody else's.
 */
export async function askIsolated(model: ModelOptions, call: ModelCall): Promise<Attempt> {
  const startedAtMs = Date.now();
  if (call.signal.aborted) return { kind: 'aborted', reason: call.signal.reason };
  const { onNotice: _notice, ...plainModel } = model;
  const { signal, ...plainCall } = call;
  const child = fork(fileURLToPath(new URL('isolated-child.ts', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const { promise, resolve } = Promise.withResolvers<Attempt>();
  const died = (message: string): void => {
    resolve({ kind: 'failed', fault: { kind: 'reset', message }, startedAtMs, endedAtMs: Date.now() });
  };
  const stop = (): void => resolve({ kind: 'aborted', reason: signal.reason });
  const limit = setTimeout(() => died('The child process did not end in time.'), call.timeoutMs + START_MS);
  signal.addEventListener('abort', stop, { once: true });
  child.once('message', (attempt) => resolve(attempt as Attempt));
  child.once('error', (error) => died(`The child process failed: ${error.message}`));
  child.once('exit', (code, name) =>
    died(`Handling this document ended its process (${name ?? `exit code ${code}`}).`),
  );
  child.send({ model: plainModel, call: plainCall } satisfies IsolatedRequest);
  try {
    return await promise;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', stop);
    child.kill('SIGKILL');
  }
}
