import { JOB_VERSION, type DocumentJob } from '@spillway/core';
import { connectRedis, startJob, writeJob, type RedisStore } from '@spillway/redis';
import { pause, within, type Life, type StopReason } from '@spillway/runtime';
import { DelayedError, WaitingError, Worker, type Job } from 'bullmq';
import { BreakerControl, type ModelCallState } from './breaker-control.ts';
import { ConcurrencyLimit } from './concurrency-limit.ts';
import type { DocumentWorker, Verdict } from './document-worker.ts';
import type { RulesCache } from './rules-cache.ts';
import { WorkerPause } from './worker-pause.ts';

export type TierWorkerOptions = {
  readonly tier: string;
  readonly concurrency: number;
  /** How long a job stays with a worker that went silent. */
  readonly lockMs: number;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
};

/** What is done with a job that was taken up. */
type Disposition =
  | { readonly kind: 'done' }
  /** Next in line again. */
  | { readonly kind: 'put_back' }
  | { readonly kind: 'later'; readonly afterMs: number };

const DONE: Disposition = { kind: 'done' };
const PUT_BACK: Disposition = { kind: 'put_back' };
const later = (afterMs: number): Disposition => ({ kind: 'later', afterMs });

/** Putting back what is in flight takes milliseconds; a Redis that is away is not waited for. */
const MAX_CLOSE_MS = 5_000;

/** A job of a newer Spillway waits for a newer worker. */
const NEWER_JOB_MS = 5_000;

/** Redis is recovering, or does not have the batch's rules yet. */
const RECOVERING_MS = 500;

/** The dispatcher looks for the drafts of an expired batch in their jobs, and drops those when it has them. */
const CLOSED_DRAFT_MS = 10_000;

/** A document's part in the mean of seconds: the last twenty or so count. */
const NEWEST_WEIGHT = 0.05;

/** A document that is worked on. */
type Running = ModelCallState & { readonly batch: string; readonly abort: AbortController };

/** Works on one tier's queue. */
export class TierWorker {
  readonly #redis: RedisStore;
  readonly #options: TierWorkerOptions;
  readonly #documents: DocumentWorker;
  readonly #rules: RulesCache;
  readonly #running = new Map<string, Running>();
  readonly #worker: Worker;
  readonly #limit: ConcurrencyLimit;
  readonly #pause: WorkerPause;
  readonly #breaker: BreakerControl;
  #idle = Promise.withResolvers<void>();
  /** No more jobs are begun. */
  #draining = false;
  /** What is still in flight is given up. */
  readonly #stop = new AbortController();
  #takenUpAtMs = Date.now();
  #secondsPerDocument: number | null = null;

  constructor(
    redis: RedisStore,
    options: TierWorkerOptions,
    { documents, rules }: { readonly documents: DocumentWorker; readonly rules: RulesCache },
  ) {
    this.#redis = redis;
    this.#options = options;
    this.#documents = documents;
    this.#rules = rules;
    const { tier, life, lockMs } = options;
    this.#worker = new Worker(tier, (job: Job, token?: string) => this.#process(job, token ?? ''), {
      connection: connectRedis(redis.address, 'wait'),
      prefix: redis.keys.prefix,
      concurrency: options.concurrency,
      lockDuration: lockMs,
      stalledInterval: Math.max(1_000, Math.floor(lockMs / 2)),
      maxStalledCount: 1_000_000,
      autorun: false,
    });
    this.#limit = new ConcurrencyLimit(this.#worker, options.concurrency);
    this.#pause = new WorkerPause(this.#worker);
    this.#breaker = new BreakerControl(redis, { limit: this.#limit, pause: this.#pause }, options);
    this.#worker.on('failed', (job, error) =>
      life.log.warn({ err: error, tier, job: job?.id }, 'handling a job failed: it comes again'),
    );
    this.#worker.on('error', (error) => life.log.debug({ err: error, tier }, 'queue'));
  }

  /** Starts to take jobs, unless it was told to stop before that. */
  start(): void {
    if (this.#draining) return;
    // A loop that broke takes nothing any more: better a new process.
    this.#worker.run().catch((error: unknown) => this.#options.life.fail(error));
  }

  get active(): number {
    return this.#running.size;
  }

  /** When a job was last taken up, in Unix milliseconds; long ago with work waiting means wedged. */
  get takenUpAtMs(): number {
    return this.#takenUpAtMs;
  }

  /** What a document lately took of one call at a time, as a moving mean; null: none was finished yet. */
  get secondsPerDocument(): number | null {
    return this.#secondsPerDocument;
  }

  get limit(): number {
    return this.#limit.value;
  }

  get pause(): Pick<WorkerPause, 'isPaused' | 'ownReason' | 'downReason'> {
    return this.#pause;
  }

  /** Gives up the calls for a batch that takes no results any more. */
  abandon(batch: string, reason: StopReason): void {
    for (const running of this.#running.values()) if (running.batch === batch) running.abort.abort(reason);
  }

  /** Takes no more jobs, lets those in flight finish for `drainMs`, then puts the rest back. */
  async stop(drainMs: number): Promise<void> {
    this.#draining = true;
    this.#pause.stop();
    await this.#worker.pause(true);
    const limit = new AbortController();
    if (this.#running.size > 0) await Promise.race([this.#idle.promise, pause(drainMs, limit.signal)]);
    limit.abort();
    this.#stop.abort('shutdown' satisfies StopReason);
    for (const running of this.#running.values()) running.abort.abort('shutdown' satisfies StopReason);
    // Without Redis it would wait for it. What could not be put back comes back when its lock is over.
    await within(MAX_CLOSE_MS, this.#worker.close()).catch((error: unknown) =>
      this.#options.life.log.debug({ err: error, tier: this.#options.tier }, 'a queue was left open'),
    );
  }

  /** BullMQ's processor: what is to be done with a job that is not done is told to BullMQ by an error, here only. */
  async #process(job: Job, token: string): Promise<void> {
    this.#takenUpAtMs = Date.now();
    const disposition = await this.#handle(job, token);
    switch (disposition.kind) {
      case 'done':
        return;
      case 'put_back':
        await job.moveToWait(token);
        throw new WaitingError();
      case 'later':
        await job.moveToDelayed(Date.now() + disposition.afterMs, token);
        throw new DelayedError();
    }
  }

  /** Takes a document up, unless it is not to be done, or not now. */
  async #handle(job: Job, token: string): Promise<Disposition> {
    const data = job.data as DocumentJob;
    if (data.v > JOB_VERSION) return later(NEWER_JOB_MS);
    // Of an older Spillway: the sweep enqueues the document again, in today's shape.
    if (data.v < JOB_VERSION) return DONE;
    const { state, ms } = await startJob(this.#redis, this.#options.tier, data, job.priority);
    switch (state) {
      case 'RECOVERING':
        return later(RECOVERING_MS);
      case 'CLOSED':
        return data.drafts.length > 0 ? later(CLOSED_DRAFT_MS) : DONE;
      case 'WAIT':
        await this.#pause.waitForBreaker(ms);
        return PUT_BACK;
      case 'GO':
      case 'PROBE':
        return await this.#work(job, token, state === 'PROBE' ? ms : null);
      case 'ALREADY':
      case 'GONE':
        return DONE;
    }
  }

  async #work(job: Job, token: string, probeUntilMs: number | null): Promise<Disposition> {
    const data = job.data as DocumentJob;
    const id = job.id ?? '';
    const running: Running = {
      batch: data.batch,
      abort: new AbortController(),
      probeUntilMs,
      startedAtMs: performance.now(),
      isAnswered: false,
    };
    // Taken up while the process was told to stop, or while it pauses: somebody else's.
    if (this.#draining || (probeUntilMs === null && this.#pause.isPaused)) {
      await this.#breaker.leave(running);
      return PUT_BACK;
    }
    this.#running.set(id, running);
    try {
      const rules = await this.#rules.of(data);
      if (rules === null) {
        await this.#breaker.leave(running);
        return later(RECOVERING_MS);
      }
      const verdict = await this.#documents.work(
        { job: data, rules },
        {
          signal: running.abort.signal,
          stopping: this.#stop.signal,
          stalls: job.stalledCounter,
          onAnswered: () => this.#breaker.answered(running),
          save: (changed) => this.#write(job, token, changed),
        },
      );
      return await this.#conclude(verdict, { job, token, running });
    } finally {
      this.#running.delete(id);
      if (this.#draining && this.#running.size === 0) this.#idle.resolve();
    }
  }

  /** Tells the breaker what the attempt says of the server, and writes the job where it was changed. */
  async #conclude(
    verdict: Verdict,
    { job, token, running }: { readonly job: Job; readonly token: string; readonly running: Running },
  ): Promise<Disposition> {
    switch (verdict.kind) {
      case 'done':
        this.#measure((performance.now() - running.startedAtMs) / 1_000);
        await this.#breaker.failed(running);
        return DONE;
      case 'retry':
        await this.#breaker.failed(running);
        await this.#write(job, token, verdict.job);
        return later(verdict.afterMs);
      case 'hold': {
        const held = await this.#breaker.held(verdict, job.data as DocumentJob, running);
        if (held.kind === 'put_back') return PUT_BACK;
        await this.#write(job, token, held.job);
        return later(held.afterMs);
      }
      // What used no attempt says nothing of the server.
      case 'later':
        await this.#breaker.leave(running);
        return later(verdict.afterMs);
      case 'put_back':
        await this.#breaker.leave(running);
        return PUT_BACK;
    }
  }

  #measure(seconds: number): void {
    const known = this.#secondsPerDocument ?? seconds;
    this.#secondsPerDocument = known + NEWEST_WEIGHT * (seconds - known);
  }

  /** Writes a job as changed, unless it went to somebody else meanwhile. */
  async #write(job: Job, token: string, changed: DocumentJob): Promise<'SAVED' | 'GONE'> {
    const written = await writeJob(this.#redis, { tier: this.#options.tier, id: job.id ?? '', token }, changed);
    if (written === 'SAVED') job.data = changed;
    return written;
  }
}
