import type { Health, Life } from '@spillway/runtime';
import type { Board } from './board.ts';
import { listenForClosed } from './listen.ts';
import type { Queues } from './queues.ts';
import { TierWorker, type Handler } from './worker.ts';

/** One tier as a worker process serves it. */
export type TierDuty = { readonly queue: string; readonly concurrency: number; readonly handler: Handler };

export type TierWorkersOptions = {
  readonly lockMs: number;
  /** How long calls in hand may still take when the process stops. */
  readonly drainMs: number;
};

/** Work is waiting and nothing was picked up for this long, with slots free: the worker is wedged. */
const WEDGED_MS = 120_000;

/** The workers of a process, one per tier, started and stopped together. */
export class TierWorkers implements AsyncDisposable {
  readonly #board: Board;
  readonly #queues: Queues;
  readonly #duties: readonly TierDuty[];
  readonly #workers: readonly TierWorker[];
  readonly #drainMs: number;
  #listening: AsyncDisposable | null = null;

  constructor(board: Board, queues: Queues, duties: readonly TierDuty[], options: TierWorkersOptions, life: Life) {
    this.#board = board;
    this.#queues = queues;
    this.#duties = duties;
    this.#drainMs = options.drainMs;
    this.#workers = duties.map(
      ({ queue, concurrency, handler }) =>
        new TierWorker(board, queues, { queue, concurrency, lockMs: options.lockMs, log: life.log }, handler),
    );
  }

  async start(): Promise<void> {
    this.#listening = await listenForClosed(this.#board, (batch, outcome) => {
      for (const worker of this.#workers) worker.abandon(batch, outcome === 'expired' ? 'expired' : 'cancelled');
    });
    for (const worker of this.#workers) worker.start();
  }

  /** Not ok when work waits and nothing is picked up, though the gate is open and slots are free. */
  async live(): Promise<Health> {
    for (const [index, { queue, concurrency }] of this.#duties.entries()) {
      const worker = this.#workers[index];
      if (worker === undefined || worker.active >= concurrency) continue;
      if (Date.now() - worker.pickedUpAtMs < WEDGED_MS) continue;
      const depth = await this.#queues.depth(queue).catch(() => null);
      const gated = depth === null || (await this.#queues.of(queue).getRateLimitTtl()) > 0;
      if (!gated && depth.waiting > 0)
        return { ok: false, detail: `${queue}: ${depth.waiting} wait and none is picked up` };
    }
    return { ok: true, detail: 'working' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop(this.#drainMs)));
    await this.#listening?.[Symbol.asyncDispose]();
  }
}
