import { setTimeout as delay } from 'node:timers/promises';

/** What is shown, by name, each as the text that its watchers get. */
export type Shown = ReadonlyMap<string, string>;

/** How often what is shown is read, at most; and it takes at most a part of the time. */
const EVERY_MS = 1_000;
const MAX_BUSY_SHARE = 0.2;

export type BroadcastOptions = {
  /** Reads what is shown now. */
  readonly read: () => Promise<Shown>;
  /** Nobody watches any more. */
  readonly onIdle: () => void;
};

/**
 * Tells those who watch something what changed of it. It is read once for all of them, at most once a second, and only
 * while somebody watches. A watcher that reads slowly misses what was there in between, and never the latest.
 */
export class Broadcast {
  readonly #options: BroadcastOptions;
  readonly #watchers = new Set<Watcher>();
  #latest: Shown | null = null;
  #isReading = false;

  constructor(options: BroadcastOptions) {
    this.#options = options;
  }

  /** What changes, from what there is on, until the signal; fails when it cannot be read. */
  async *watch(signal: AbortSignal): AsyncGenerator<string> {
    const watcher = new Watcher();
    const stop = (): void => watcher.stop();
    signal.addEventListener('abort', stop, { once: true });
    this.#watchers.add(watcher);
    try {
      if (signal.aborted) return;
      if (this.#latest !== null) watcher.tell(this.#latest);
      void this.#keepReading();
      yield* watcher.changes();
    } finally {
      signal.removeEventListener('abort', stop);
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#options.onIdle();
    }
  }

  /** While there are watchers. */
  async #keepReading(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#watchers.size > 0) {
      const beganMs = performance.now();
      try {
        const latest = await this.#options.read();
        this.#latest = latest;
        for (const watcher of this.#watchers) watcher.tell(latest);
      } catch (error) {
        for (const watcher of this.#watchers) watcher.fail(error);
      }
      const tookMs = performance.now() - beganMs;
      await delay(Math.max(EVERY_MS - tookMs, tookMs / MAX_BUSY_SHARE - tookMs));
    }
    this.#isReading = false;
  }
}

/** One who watches: what of the latest it was not told yet. */
class Watcher {
  readonly #told = new Map<string, string>();
  #latest: Shown = new Map();
  #error: { readonly error: unknown } | null = null;
  #isStopped = false;
  #arrived = Promise.withResolvers<void>();

  tell(latest: Shown): void {
    this.#latest = latest;
    this.#arrived.resolve();
  }

  fail(error: unknown): void {
    this.#error = { error };
    this.#arrived.resolve();
  }

  stop(): void {
    this.#isStopped = true;
    this.#arrived.resolve();
  }

  async *changes(): AsyncGenerator<string> {
    for (;;) {
      await this.#arrived.promise;
      this.#arrived = Promise.withResolvers();
      if (this.#isStopped) return;
      if (this.#error !== null) throw this.#error.error;
      for (const name of this.#told.keys()) if (!this.#latest.has(name)) this.#told.delete(name);
      for (const [name, text] of this.#latest) {
        if (this.#told.get(name) === text) continue;
        this.#told.set(name, text);
        yield text;
        if (this.#isStopped) return;
      }
    }
  }
}
