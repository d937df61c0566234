import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { backoffMs } from '@spillway/core';

/** How long a loop waits after errors in a row. */
const BACKOFF = { firstMs: 200, maxMs: 2_000 };

/** Waits, or returns early when the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** Lets all that this round of the event loop brings go first. */
export const nextRound = (): Promise<void> => setImmediate();

/**
 * Calls `step` again and again until the signal is aborted: at once while there was work, else after `idleMs` or when
 * `wake` calls. An error is reported and the loop goes on, more slowly.
 */
export async function repeat(
  step: () => Promise<boolean>,
  options: { idleMs: number; signal: AbortSignal; wake?: Wake; onError: (error: unknown) => void },
): Promise<void> {
  let failures = 0;
  while (!options.signal.aborted) {
    const seen = options.wake?.count ?? 0;
    let busy = false;
    try {
      busy = await step();
      failures = 0;
    } catch (error) {
      if (options.signal.aborted) return;
      failures += 1;
      options.onError(error);
    }
    if (busy) continue;
    const waitMs = failures === 0 ? options.idleMs : backoffMs(failures, Math.random(), BACKOFF);
    if (options.wake === undefined) await pause(waitMs, options.signal);
    else await options.wake.wait(seen, waitMs, options.signal);
  }
}

/** Calls that end a wait early; counted, so that one between two waits is not missed. */
export class Wake {
  #count = 0;
  #waiting = new Set<() => void>();

  get count(): number {
    return this.#count;
  }

  call(): void {
    this.#count += 1;
    for (const resume of this.#waiting) resume();
  }

  /** Waits until there was a call after `seen`, or for `ms`, or until the signal is aborted. */
  async wait(seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#count > seen || signal.aborted) return;
    const early = new AbortController();
    const resume = (): void => early.abort();
    this.#waiting.add(resume);
    await pause(ms, AbortSignal.any([signal, early.signal]));
    this.#waiting.delete(resume);
  }
}
