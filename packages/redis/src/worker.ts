import { isHandOverOnly, JOB_VERSION, type DocumentJob, type GateCall } from '@spillway/core';
import { pause, within, type Life, type StopReason } from '@spillway/runtime';
import { DelayedError, WaitingError, Worker, type Job } from 'bullmq';
import { connectRedis } from './client.ts';
import type { Board } from './board.ts';
import { GateKeeper, type Asking } from './gate-keeper.ts';
import { KEPT_CLOSED_MS, TRY_MS } from './gate.ts';
import { Pace } from './pace.ts';
import { Script } from './script.ts';

const startScript = new Script('start');
const writeScript = new Script('write_job');

/** What a handler wants done with its job. */
export type Verdict =
  /** The document needs this job no more. */
  | { readonly kind: 'done' }
  /** Try this job again after a while; with `job`, as changed. */
  | { readonly kind: 'again'; readonly afterMs: number; readonly job?: DocumentJob }
  /** The model server is down, asks to wait, or takes no more: the tier waits, slows down, or the document does. */
  | ({ readonly kind: 'gate' } & GateCall)
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
  /** To be called when the model server shows that it works. */
  heard(): void;
  /** Writes the job as changed, so that whoever gets it next goes on from there. GONE: it is this worker's no more. */
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

/** Putting back what is in hand takes milliseconds; a Redis that is away is not waited for. */
const CLOSE_LIMIT_MS = 5_000;

/** A document's part in the mean of seconds: the last twenty or so count. */
const NEWEST_WEIGHT = 0.05;

type Running = Asking & { readonly batch: string; readonly abort: AbortController };

/** What is to be done with a document that was taken up; `ms`: for TRY until when it tries, for WAIT for how long. */
type Begun = {
  readonly state: 'GO' | 'TRY' | 'WAIT' | 'ALREADY' | 'CLOSED' | 'GONE' | 'RECOVERING';
  readonly ms: number;
};

/** Works on one tier's queue. */
export class TierWorker {
  readonly #board: Board;
  readonly #options: TierWorkerOptions;
  readonly #handler: Handler;
  readonly #running = new Map<string, Running>();
  readonly #worker: Worker;
  readonly #pace: Pace;
  readonly #keeper: GateKeeper;
  #idle = Promise.withResolvers<void>();
  /** No more jobs are begun. */
  #draining = false;
  /** What is still in hand is given up. */
  readonly #stop = new AbortController();
  #pickedUpAtMs = Date.now();
  #secondsPerDocument: number | null = null;

  constructor(board: Board, options: TierWorkerOptions, handler: Handler) {
    this.#board = board;
    this.#options = options;
    this.#handler = handler;
    this.#worker = new Worker(options.queue, (job: Job, token?: string) => this.#process(job, token ?? ''), {
      connection: connectRedis(board.address, 'wait'),
      prefix: board.keys.prefix,
      concurrency: options.concurrency,
      lockDuration: options.lockMs,
      stalledInterval: Math.max(1_000, Math.floor(options.lockMs / 2)),
      maxStalledCount: 1_000_000,
      autorun: false,
    });
    this.#pace = new Pace(this.#worker, options.concurrency);
    this.#keeper = new GateKeeper(board, this.#pace, options);
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

  get pace(): Pick<Pace, 'slots' | 'isResting' | 'resting' | 'down'> {
    return this.#pace;
  }

  /** Gives up the calls for a batch that takes no results any more. */
  abandon(batch: string, reason: StopReason): void {
    for (const running of this.#running.values()) if (running.batch === batch) running.abort.abort(reason);
  }

  /** Takes no more jobs, lets those in hand finish for `drainMs`, then puts the rest back. */
  async stop(drainMs: number): Promise<void> {
    this.#draining = true;
    this.#pace.end();
    await this.#worker.pause(true);
    const limit = new AbortController();
    if (this.#running.size > 0) await Promise.race([this.#idle.promise, pause(drainMs, limit.signal)]);
    limit.abort();
    this.#stop.abort('shutdown' satisfies StopReason);
    for (const running of this.#running.values()) running.abort.abort('shutdown' satisfies StopReason);
    // Without Redis it would wait for it. What could not be put back comes back when its lock is over.
    await within(CLOSE_LIMIT_MS, this.#worker.close()).catch((error: unknown) =>
      this.#options.life.log.debug({ err: error, queue: this.#options.queue }, 'a queue was left open'),
    );
  }

  async #process(job: Job, token: string): Promise<void> {
    const id = job.id ?? '';
    this.#pickedUpAtMs = Date.now();
    const data = job.data as DocumentJob;
    if (data.v > JOB_VERSION) await this.#later(job, token, 5_000);
    // Of an older Spillway: the sweep feeds the document again, in today's shape.
    if (data.v < JOB_VERSION) return;
    const { state, ms } = await this.#begin(data, job.priority);
    if (state === 'RECOVERING') await this.#later(job, token, 500);
    // The dispatcher looks for the drafts of an expired batch in their jobs, and drops those when it has them.
    if (state === 'CLOSED' && data.draft !== null) await this.#later(job, token, 10_000);
    if (state === 'WAIT') await this.#pace.restAtGate(ms);
    else if (state !== 'GO' && state !== 'TRY') return;
    const tryUntilMs = state === 'TRY' ? ms : null;
    const startedAtMs = performance.now();
    const running: Running = { batch: data.batch, abort: new AbortController(), tryUntilMs, startedAtMs, heard: false };
    // Taken up while the process was told to stop, or while it rests: somebody else's.
    if (this.#draining || state === 'WAIT' || (state === 'GO' && this.#pace.isResting)) {
      await this.#keeper.leave(running);
      await this.#putBack(job, token);
    }
    this.#running.set(id, running);
    try {
      const verdict = await this.#handler(data, {
        signal: running.abort.signal,
        stopping: this.#stop.signal,
        stalls: job.stalledCounter,
        heard: () => this.#keeper.heard(running),
        save: (changed) => this.#write(job, token, changed),
      });
      const tookMs = Math.round(performance.now() - startedAtMs);
      const told = { queue: this.#options.queue, job: id, verdict: verdict.kind, ms: tookMs };
      this.#options.life.log.debug(told, 'attempt');
      if (verdict.kind === 'done') this.#measure(tookMs / 1_000);
      await this.#obey(verdict, { job, token, running });
    } finally {
      this.#running.delete(id);
      if (this.#draining && this.#running.size === 0) this.#idle.resolve();
    }
  }

  async #begin(data: DocumentJob, priority: number): Promise<Begun> {
    const { keys, client } = this.#board;
    const names = [
      keys.epoch,
      keys.batch(data.batch),
      keys.sealed(data.batch),
      keys.page(data.batch, data.page),
      keys.turns(this.#options.queue),
      keys.gate(this.#options.queue),
    ];
    const args = [data.page, data.place, priority, TRY_MS, isHandOverOnly(data) ? '0' : '1', KEPT_CLOSED_MS];
    const [state, ms] = (await startScript.run(client, names, args)) as [Begun['state'], number];
    return { state, ms };
  }

  #measure(seconds: number): void {
    const known = this.#secondsPerDocument ?? seconds;
    this.#secondsPerDocument = known + NEWEST_WEIGHT * (seconds - known);
  }

  async #obey(
    verdict: Verdict,
    { job, token, running }: { readonly job: Job; readonly token: string; readonly running: Running },
  ): Promise<void> {
    // What no try was used for says nothing of the server: given up, or the document's time is over.
    const isTried = verdict.kind === 'done' || (verdict.kind === 'again' && verdict.job !== undefined);
    if (verdict.kind !== 'gate') await (isTried ? this.#keeper.failed(running) : this.#keeper.leave(running));
    if (verdict.kind === 'done') return;
    if (verdict.kind === 'put_back') await this.#putBack(job, token);
    const next =
      verdict.kind === 'gate' ? await this.#keeper.refused(verdict, job.data as DocumentJob, running) : verdict;
    if (next.kind === 'put_back') return await this.#putBack(job, token);
    if (next.job !== undefined) await this.#write(job, token, next.job);
    await this.#later(job, token, next.afterMs);
  }

  /** Writes a job as changed, unless it went to somebody else meanwhile. */
  async #write(job: Job, token: string, changed: DocumentJob): Promise<'SAVED' | 'GONE'> {
    const key = `${this.#board.keys.queue(this.#options.queue)}:${job.id}`;
    const args = [token, JSON.stringify(changed)];
    const written = (await writeScript.run(this.#board.client, [key, `${key}:lock`], args)) as 'SAVED' | 'GONE';
    if (written === 'SAVED') job.data = changed;
    return written;
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
