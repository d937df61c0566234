import { isHandOverOnly, JOB_VERSION, type DocumentJob, type GateCall } from '@spillway/core';
import { pause, within, type Life, type StopReason } from '@spillway/runtime';
import { DelayedError, WaitingError, Worker, type Job } from 'bullmq';
import { connectRedis } from './client.ts';
import type { Board } from './board.ts';
import { closeGate, leaveTry, openGate, TRY_MS } from './gate.ts';
import { Pace } from './pace.ts';
import { Script } from './script.ts';

const startScript = new Script('start');

/** What a handler wants done with its job. */
export type Verdict =
  /** The document needs this job no more. */
  | { readonly kind: 'done' }
  /** Try this job again after a while; with `job`, as changed. */
  | { readonly kind: 'again'; readonly afterMs: number; readonly job?: DocumentJob }
  /** The model server is down or asks to wait: the tier's queue waits. */
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

/** Putting back what is in hand takes milliseconds; a Redis that is away is not waited for. */
const CLOSE_LIMIT_MS = 5_000;

/** A document's part in the mean of seconds: the last twenty or so count. */
const NEWEST_WEIGHT = 0.05;

/** Behind a closed gate a worker looks again no later than this, and so soon while somebody tries the server. */
const LOOK_AGAIN_MS = 5_000;
const LOOK_SOON_MS = 250;

type Running = {
  readonly batch: string;
  readonly abort: AbortController;
  /** It was let through a closed gate, to try the server. */
  readonly isTry: boolean;
  /** On the clock that never goes back. */
  readonly startedAtMs: number;
};

/** What is to be done with a document that was taken up, and for WAIT for how long. */
type Begun = {
  readonly state: 'GO' | 'TRY' | 'WAIT' | 'ALREADY' | 'CLOSED' | 'GONE' | 'RECOVERING';
  readonly waitMs: number;
};

/** Works on one tier's queue. */
export class TierWorker {
  readonly #board: Board;
  readonly #options: TierWorkerOptions;
  readonly #handler: Handler;
  readonly #running = new Map<string, Running>();
  readonly #worker: Worker;
  readonly #pace: Pace;
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

  get pace(): Pick<Pace, 'slots' | 'isResting' | 'ownServer'> {
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
    const { state, waitMs } = await this.#begin(data, job.priority);
    if (state === 'RECOVERING') await this.#later(job, token, 500);
    // The dispatcher looks for the drafts of an expired batch in their jobs, and drops those when it has them.
    if (state === 'CLOSED' && data.draft !== null) await this.#later(job, token, 10_000);
    if (state === 'WAIT') await this.#pace.rest(waitMs === 0 ? LOOK_SOON_MS : Math.min(waitMs, LOOK_AGAIN_MS));
    else if (state !== 'GO' && state !== 'TRY') return;
    // Taken up while the process was told to stop, or while it rests: somebody else's.
    if (this.#draining || this.#pace.isResting) {
      if (state === 'TRY') await leaveTry(this.#board, this.#options.queue);
      await this.#putBack(job, token);
    }
    const running: Running = {
      batch: data.batch,
      abort: new AbortController(),
      isTry: state === 'TRY',
      startedAtMs: performance.now(),
    };
    this.#running.set(id, running);
    try {
      const verdict = await this.#handler(data, {
        signal: running.abort.signal,
        stopping: this.#stop.signal,
        stalls: job.stalledCounter,
        save: (changed) => save(job, changed),
      });
      const ms = Math.round(performance.now() - running.startedAtMs);
      this.#options.life.log.debug({ queue: this.#options.queue, job: id, verdict: verdict.kind, ms }, 'attempt');
      if (verdict.kind === 'done') this.#measure(ms / 1_000);
      if (verdict.kind === 'gate') await this.#close(verdict, running.startedAtMs);
      else if (running.isTry) await this.#tried(verdict, running);
      await this.#obey(verdict, job, token);
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
    const args = [data.page, data.place, priority, TRY_MS, isHandOverOnly(data) ? '0' : '1'];
    const [state, waitMs] = (await startScript.run(client, names, args)) as [Begun['state'], number];
    return { state, waitMs };
  }

  #measure(seconds: number): void {
    const known = this.#secondsPerDocument ?? seconds;
    this.#secondsPerDocument = known + NEWEST_WEIGHT * (seconds - known);
  }

  async #obey(verdict: Verdict, job: Job, token: string): Promise<void> {
    if (verdict.kind === 'done') return this.#pace.answered();
    if (verdict.kind !== 'again') return await this.#putBack(job, token);
    if (verdict.job !== undefined) await job.updateData(verdict.job);
    await this.#later(job, token, verdict.afterMs);
  }

  /** The model server is down or asks to wait: this worker rests, and all others where the server is theirs too. */
  async #close(call: GateCall, startedAtMs: number): Promise<void> {
    const { queue, sidecar, life } = this.#options;
    if (call.overloaded) this.#pace.overloaded(startedAtMs);
    if (sidecar) return await this.#pace.restForServer(call, startedAtMs);
    const { waitMs, isNew } = await closeGate(this.#board, queue, call, performance.now() - startedAtMs);
    if (isNew) {
      life.telemetry.meters.count('cascade.gate.closings', 1, { queue });
      life.log.warn({ queue, reason: call.reason, waitMs, slots: this.#pace.slots }, 'the gate is closed');
    }
    if (waitMs > 0) await this.#pace.rest(Math.min(waitMs, LOOK_AGAIN_MS));
  }

  /** A call that was let through a closed gate has ended: the server is there, or the call was given up. */
  async #tried(verdict: Verdict, { abort }: Running): Promise<void> {
    const { queue, life } = this.#options;
    const isGivenUp = verdict.kind === 'put_back' || abort.signal.aborted;
    try {
      if (isGivenUp) await leaveTry(this.#board, queue);
      else {
        if (await openGate(this.#board, queue)) life.log.info({ queue }, 'the gate is open');
        this.#pace.wake();
      }
    } catch (error) {
      // Another one tries soon.
      life.log.debug({ err: error, queue }, 'the gate was not opened');
    }
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
