import { JOB_VERSION, type DocumentJob } from '@spillway/core';
import { pause, type Life, type StopReason } from '@spillway/runtime';
import { DelayedError, WaitingError, Worker, type Job } from 'bullmq';
import { connectRedis } from './client.ts';
import type { Board } from './board.ts';
import { closeGate } from './gate.ts';
import type { Queues } from './queues.ts';
import { Script } from './script.ts';

const startScript = new Script('start');

/** What a handler wants done with its job. */
export type Verdict =
  /** The document needs this job no more. */
  | { readonly kind: 'done' }
  /** Try this job again after a while; with `job`, as changed. */
  | { readonly kind: 'again'; readonly afterMs: number; readonly job?: DocumentJob }
  /** The model server is down or asks to wait: the tier's queue waits. */
  | { readonly kind: 'gate'; readonly waitMs: number; readonly reason: string }
  /** Given up because the process stops: next in line again. */
  | { readonly kind: 'put_back' };

/** What a handler gets with a job. */
export type Attempt = {
  /** Aborted with a StopReason when the call is to be given up. */
  readonly signal: AbortSignal;
  /** Aborted when the process must end now, whatever waits. */
  readonly stopping: AbortSignal;
  /** How often a worker vanished while it held this job. */
  readonly stalls: number;
  /** Writes the job as changed, so that whoever gets it next goes on from there. GONE: Redis lost it meanwhile. */
  save(job: DocumentJob): Promise<'SAVED' | 'GONE'>;
};

export type Handler = (job: DocumentJob, attempt: Attempt) => Promise<Verdict>;

export type TierWorkerOptions = {
  readonly queue: string;
  readonly concurrency: number;
  /** How long a job stays with a worker that went silent. */
  readonly lockMs: number;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
};

/** A document's part in the mean of seconds: the last twenty or so count. */
const NEWEST_WEIGHT = 0.05;

/** A worker whose own model server is down takes nothing for a while. */
type Rest = { readonly reason: string; readonly over: NodeJS.Timeout };

type Running = { readonly batch: string; readonly abort: AbortController };

/** Works on one tier's queue. */
export class TierWorker {
  readonly #board: Board;
  readonly #queues: Queues;
  readonly #options: TierWorkerOptions;
  readonly #handler: Handler;
  readonly #running = new Map<string, Running>();
  readonly #worker: Worker;
  #idle = Promise.withResolvers<void>();
  /** No more jobs are begun. */
  #draining = false;
  /** What is still in hand is given up. */
  readonly #stop = new AbortController();
  #pickedUpAtMs = Date.now();
  #secondsPerDocument: number | null = null;
  #rest: Rest | null = null;
  /** When the last rest was over, on the clock that never goes back. */
  #restedAtMs = 0;

  constructor(board: Board, queues: Queues, options: TierWorkerOptions, handler: Handler) {
    this.#board = board;
    this.#queues = queues;
    this.#options = options;
    this.#handler = handler;
    this.#worker = new Worker(options.queue, (job: Job, token?: string) => this.#process(job, token ?? ''), {
      connection: connectRedis(board.address, 'wait'),
      prefix: board.keys.prefix,
      concurrency: options.concurrency,
      lockDuration: options.lockMs,
      stalledInterval: Math.max(1_000, Math.floor(options.lockMs / 2)),
      maxStalledCount: 1_000_000,
      maximumRateLimitDelay: 5_000,
      autorun: false,
    });
    this.#worker.on('failed', (job, error) =>
      options.life.log.warn(
        { err: error, queue: options.queue, job: job?.id },
        'handling a job failed: it is tried again',
      ),
    );
    this.#worker.on('error', (error) => options.life.log.debug({ err: error, queue: options.queue }, 'queue'));
  }

  /** Starts to take jobs. */
  start(): void {
    // A loop that broke takes nothing any more: better a new process.
    this.#worker.run().catch((error: unknown) => this.#options.life.fail(error));
  }

  get active(): number {
    return this.#running.size;
  }

  /** When a job was last taken up, in Unix milliseconds; long ago with work waiting means wedged. */
  get pickedUpAtMs(): number {
    return this.#pickedUpAtMs;
  }

  /** What a document lately took of a slot, as a moving mean; null: none was finished yet. */
  get secondsPerDocument(): number | null {
    return this.#secondsPerDocument;
  }

  /** Why this worker takes nothing now, though its tier's gate is open; null: it does. */
  get resting(): string | null {
    return this.#rest?.reason ?? null;
  }

  /** Gives up the calls for a batch that takes no results any more. */
  abandon(batch: string, reason: StopReason): void {
    for (const running of this.#running.values()) if (running.batch === batch) running.abort.abort(reason);
  }

  /** Takes no more jobs, lets those in hand finish for `drainMs`, then puts the rest back. */
  async stop(drainMs: number): Promise<void> {
    this.#draining = true;
    clearTimeout(this.#rest?.over);
    await this.#worker.pause(true);
    const limit = new AbortController();
    if (this.#running.size > 0) await Promise.race([this.#idle.promise, pause(drainMs, limit.signal)]);
    limit.abort();
    this.#stop.abort('shutdown' satisfies StopReason);
    for (const running of this.#running.values()) running.abort.abort('shutdown' satisfies StopReason);
    await this.#worker.close();
  }

  async #process(job: Job, token: string): Promise<void> {
    const id = job.id ?? '';
    this.#pickedUpAtMs = Date.now();
    const data = job.data as DocumentJob;
    if (data.v > JOB_VERSION) await this.#later(job, token, 5_000);
    // Of an older Spillway: the sweep feeds the document again, in today's shape.
    if (data.v < JOB_VERSION) return;
    const state = await this.#state(data, job.priority);
    if (state === 'RECOVERING') await this.#later(job, token, 500);
    // The dispatcher looks for the drafts of an expired batch in their jobs, and drops those when it has them.
    if (state === 'CLOSED' && data.draft !== null) await this.#later(job, token, 10_000);
    if (state !== 'GO') return;
    // Taken up while the process was told to stop, or while its model server is down: somebody else's.
    if (this.#draining || this.#rest !== null) await this.#putBack(job, token);
    const running: Running = { batch: data.batch, abort: new AbortController() };
    this.#running.set(id, running);
    const startedAtMs = performance.now();
    try {
      const verdict = await this.#handler(data, {
        signal: running.abort.signal,
        stopping: this.#stop.signal,
        stalls: job.stalledCounter,
        save: (changed) => save(job, changed),
      });
      const ms = Math.round(performance.now() - startedAtMs);
      this.#options.life.log.debug({ queue: this.#options.queue, job: id, verdict: verdict.kind, ms }, 'attempt');
      if (verdict.kind === 'done') this.#measure(ms / 1_000);
      await this.#obey(verdict, job, token, startedAtMs);
    } finally {
      this.#running.delete(id);
      if (this.#draining && this.#running.size === 0) this.#idle.resolve();
    }
  }

  #state(data: DocumentJob, priority: number): Promise<unknown> {
    const { keys, client } = this.#board;
    const names = [
      keys.epoch,
      keys.batch(data.batch),
      keys.sealed(data.batch),
      keys.page(data.batch, data.page),
      keys.turns(this.#options.queue),
    ];
    return startScript.run(client, names, [data.page, data.place, priority]);
  }

  #measure(seconds: number): void {
    const known = this.#secondsPerDocument ?? seconds;
    this.#secondsPerDocument = known + NEWEST_WEIGHT * (seconds - known);
  }

  async #obey(verdict: Verdict, job: Job, token: string, startedAtMs: number): Promise<void> {
    if (verdict.kind === 'again') {
      if (verdict.job !== undefined) await job.updateData(verdict.job);
      await this.#later(job, token, verdict.afterMs);
    } else if (verdict.kind === 'put_back') {
      await this.#putBack(job, token);
    } else if (verdict.kind === 'gate') {
      this.#options.life.telemetry.meters.count('cascade.gate.closings', 1, { queue: this.#options.queue });
      if (this.#options.sidecar) {
        // A call that began before the last rest was over tells of the server as it was.
        if (this.#rest === null && startedAtMs >= this.#restedAtMs) await this.#restFor(verdict.waitMs, verdict.reason);
        await this.#putBack(job, token);
      }
      await closeGate(this.#board, this.#queues, this.#options.queue, verdict.waitMs, verdict.reason);
      throw Worker.RateLimitError();
    }
  }

  /** Takes no jobs for a while; the tier's other workers have model servers of their own and go on. */
  async #restFor(waitMs: number, reason: string): Promise<void> {
    const over = setTimeout(() => {
      this.#rest = null;
      this.#restedAtMs = performance.now();
      // Where its loop ended meanwhile it begins another, whose breaking ends the process like that of the first.
      if (!this.#draining) void this.#worker.resume();
    }, waitMs);
    this.#rest = { reason, over };
    await this.#worker.pause(true);
  }

  async #putBack(job: Job, token: string): Promise<never> {
    await job.moveToWait(token);
    throw new WaitingError();
  }

  async #later(job: Job, token: string, afterMs: number): Promise<never> {
    await job.moveToDelayed(Date.now() + afterMs, token);
    throw new DelayedError();
  }
}

async function save(job: Job, changed: DocumentJob): Promise<'SAVED' | 'GONE'> {
  try {
    await job.updateData(changed);
    return 'SAVED';
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('Missing key for job')) return 'GONE';
    throw error;
  }
}
