import type { Life } from '@spillway/runtime';
import type { LastAnswers } from './last-answers.ts';
import type { RunningCalls } from './running-calls.ts';

/** A server that goes down may still answer the calls that it has; after so long it does not. */
const GIVE_UP_MS = 2_000;

export type GiveUpParts = {
  readonly calls: RunningCalls;
  readonly answers: LastAnswers;
  /** Why there is no server any more; null: there is one. */
  readonly look: (signal: AbortSignal) => Promise<string | null>;
  readonly log: Life['log'];
  readonly stopped: AbortSignal;
};

/** Gives up calls that a server has which went away: they are never answered, as far as it keeps their connections open. */
export class GiveUp {
  readonly #parts: GiveUpParts;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: GiveUpParts) {
    this.#parts = parts;
    parts.stopped.addEventListener('abort', () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
    });
  }

  /** The server went away just now; `isGone`: it was seen that there is none. After a while its calls are given up. */
  soon(isGone: boolean): void {
    const { log, stopped } = this.#parts;
    if (this.#timer !== null || stopped.aborted) return;
    const downAtMs = performance.now();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#giveUp(downAtMs, isGone).catch((error: unknown) =>
        log.debug({ err: error }, 'a look for the server failed'),
      );
    }, GIVE_UP_MS);
  }

  async #giveUp(downAtMs: number, isGone: boolean): Promise<void> {
    const { calls, answers, look, stopped } = this.#parts;
    const isThere = !isGone && (await look(stopped)) === null;
    const { to, atMs } = answers.last;
    const isAlive = to !== null && to.startedAtMs < downAtMs && atMs > downAtMs;
    if (!isThere && !isAlive) calls.giveUp('server_down', ({ startedAtMs }) => startedAtMs < downAtMs);
  }
}
