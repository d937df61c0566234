import type { StageModel } from '@spillway/cascade';
import { backoffMs, tierLabels, type Backoff } from '@spillway/core';
import { RedisClock, type Queues, type RedisStore } from '@spillway/redis';
import { pause, processName, type Life, type StopReason } from '@spillway/runtime';
import type { Job } from 'bullmq';
import { BreakerControl } from './breaker-control.ts';
import { BundleHandler } from './bundle-handler.ts';
import { ConcurrencyLimit } from './concurrency-limit.ts';
import { DocumentHandler } from './document-handler.ts';
import type { DocumentWorker } from './document-worker.ts';
import { JobHandler } from './job-handler.ts';
import { watchQueue } from './queue-watch.ts';
import { QueueWorker, type JobEnds } from './queue-worker.ts';
import type { RulesCache } from './rules-cache.ts';
import { RunningCalls } from './running-calls.ts';
import { Slots } from './slots.ts';
import { watchSilence } from './silence-watch.ts';
import type { AskControl } from './suspicion.ts';
import { WaitWatch } from './wait-watch.ts';
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

export type TierWorkerParts = {
  readonly queues: Pick<Queues, 'add' | 'hasClaimable'>;
  readonly documents: DocumentWorker;
  readonly rules: RulesCache;
  readonly model: Pick<StageModel, 'timeoutMs' | 'maxAttempts' | 'look' | 'askControl'>;
};

/** Putting back what is in flight takes milliseconds; a Redis that is away is not waited for. */
export const MAX_CLOSE_MS = 5_000;

/** So often in a row a worker that is stuck connects anew; then its process ends, for whoever starts another one. */
const MAX_REPLACEMENTS = 2;

/** Between two attempts to handle a job, where that fails: what fails for ever is nobody's load, until its batch's time is over. */
const FAILED: Backoff = { firstMs: 1_000, maxMs: 60_000 };

/** A document's part in the mean of seconds: the last twenty or so count. */
const NEWEST_WEIGHT = 0.05;

/** Works on one tier's queue. */
export class TierWorker {
  readonly #redis: RedisStore;
  readonly #options: TierWorkerOptions;
  readonly #model: TierWorkerParts['model'];
  readonly #calls = new RunningCalls();
  readonly #queue: QueueWorker;
  readonly #queues: TierWorkerParts['queues'];
  readonly #limit: ConcurrencyLimit;
  readonly #pause: WorkerPause;
  readonly #breaker: BreakerControl;
  readonly #handler: JobHandler;
  /** No more jobs are begun. */
  #draining = false;
  /** What is still in flight is given up. */
  readonly #stop = new AbortController();
  #takenUpAtMs = performance.now();
  #taken = 0;
  #secondsPerDocument: number | null = null;

  constructor(redis: RedisStore, options: TierWorkerOptions, { model, queues, ...parts }: TierWorkerParts) {
    this.#redis = redis;
    this.#options = options;
    this.#model = model;
    this.#queues = queues;
    const { tier, life } = options;
    life.telemetry.meters.begin('cascade.worker.replacements', [tierLabels(tier)]);
    const slots = new Slots(options.concurrency);
    this.#queue = new QueueWorker(redis, {
      ...options,
      slots,
      process: (job, token, ends) => this.#process(job, token, ends),
      onError: (error) => life.log.debug({ err: error, tier }, 'queue'),
    });
    const calls = this.#calls;
    const clock = new RedisClock();
    const limit = new ConcurrencyLimit(slots, { max: options.concurrency, timeoutMs: model.timeoutMs });
    const ownPause = new WorkerPause(this.#queue);
    const look = (signal: AbortSignal): Promise<string | null> => model.look(signal);
    const askControl: AskControl = (question, signal) => model.askControl(question, signal);
    const breaker = new BreakerControl(
      redis,
      { limit, pause: ownPause, calls, clock },
      { ...options, look, askControl, maxAttempts: model.maxAttempts },
    );
    this.#limit = limit;
    this.#pause = ownPause;
    this.#breaker = breaker;
    const ending = { isDraining: () => this.#draining, stopping: this.#stop.signal };
    const shared = { redis, breaker, pause: ownPause, clock };
    const documents = new DocumentHandler(
      { ...parts, ...shared, calls, waits: new WaitWatch(redis, tier, processName()) },
      {
        ...ending,
        tier,
        maxAttempts: model.maxAttempts,
        askControl,
        onDone: (seconds) => this.#measure(seconds),
      },
    );
    const onFailed = (id: string, error: unknown): void => this.#failed(id, error);
    const bundles = new BundleHandler({ redis, queues, documents, pause: ownPause, breaker }, { ...ending, onFailed });
    const { rules } = parts;
    this.#handler = new JobHandler({ ...shared, rules, slots, documents, bundles }, { tier, callMs: model.timeoutMs });
  }

  /** Starts to take jobs, unless it was told to stop before that. */
  start(): void {
    if (this.#draining) return;
    this.#queue.start();
    void watchQueue(
      {
        isFree: () => this.isFree,
        taken: () => this.#taken,
        hasWork: () => this.#queues.hasClaimable(this.#options.tier),
        onStuck: (times) => this.#unstick(times),
        onError: (error) => this.#options.life.log.debug({ err: error, tier: this.#options.tier }, 'a look failed'),
      },
      this.#stop.signal,
    );
    void watchSilence(
      {
        calls: this.#calls,
        slowestMs: () => this.#limit.slowestMs,
        look: (signal) => this.#model.look(signal),
        onGone: async (reason, lookedAtMs) => {
          await this.#breaker.heldControl({ cause: 'down', reason, askedMs: null, isGone: true }, lookedAtMs);
        },
        isAnswering: async (signal) =>
          (await this.#model.askControl({ endpoint: this.#calls.endpoint }, signal)) === null,
        onLost: (askedAtMs) =>
          this.#calls.giveUp('call_lost', (call) => call.startedAtMs < askedAtMs && !call.mayTakeLong),
        onError: (error) => this.#options.life.log.debug({ err: error, tier: this.#options.tier }, 'a look failed'),
      },
      this.#stop.signal,
    );
  }

  get active(): number {
    return this.#calls.size;
  }

  /** Whether it takes jobs, as far as it knows. */
  get isFree(): boolean {
    return !this.#draining && !this.#pause.isPaused && this.active < this.limit;
  }

  /** When a job was last taken up, on the clock that never goes back; long ago with work waiting means wedged. */
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
    this.#calls.giveUp(reason, (call) => call.batch === batch);
  }

  /** Takes no more jobs, lets those in flight finish for `drainMs`, then puts the rest back. */
  async stop(drainMs: number): Promise<void> {
    this.#draining = true;
    this.#pause.stop();
    this.#queue.pause();
    const limit = new AbortController();
    await Promise.race([this.#calls.empty, pause(drainMs, limit.signal)]);
    limit.abort();
    this.#stop.abort('shutdown' satisfies StopReason);
    this.#breaker.stop();
    this.#calls.giveUp('shutdown', () => true);
    // Without Redis it would wait for it. What could not be put back comes back when its lock is over.
    await this.#queue.close(MAX_CLOSE_MS);
  }

  /** Documents wait and none is taken up: by new connections, or, where that does not help, by a new process. */
  #unstick(times: number): void {
    const { tier, life } = this.#options;
    if (times > MAX_REPLACEMENTS) return life.fail(new Error(`${tier}: documents wait and none is taken up`));
    life.log.warn({ tier, times }, 'documents wait and none is taken up: this worker connects anew');
    life.telemetry.meters.count('cascade.worker.replacements', 1, tierLabels(tier));
    // Longer than the calls that it may still have.
    this.#queue.replace(this.#model.timeoutMs + MAX_CLOSE_MS);
  }

  /** Handles a job, and tells BullMQ what becomes of it. */
  async #process(job: Job, token: string, { complete, putBack }: JobEnds): Promise<void> {
    this.#takenUpAtMs = performance.now();
    this.#taken += 1;
    const disposition = await this.#handler.handle(job, token).catch((error: unknown) => {
      this.#failed(job.id ?? '', error);
      return { kind: 'failed', error } as const;
    });
    switch (disposition.kind) {
      case 'done':
        await complete();
        return;
      case 'put_back':
        await putBack();
        return;
      case 'later':
        await job.moveToDelayed(Date.now() + disposition.afterMs, token);
        return;
      case 'failed': {
        const { error } = disposition;
        // Each failure would leave its stack in Redis.
        const backoff = { type: 'fixed', delay: backoffMs(job.attemptsMade + 1, Math.random(), FAILED) };
        Object.assign(job.opts, { backoff, stackTraceLimit: 1 });
        await job.moveToFailed(error instanceof Error ? error : new Error(String(error)), token, false);
        return;
      }
      case 'left_alone':
        return;
    }
  }

  #failed(id: string, error: unknown): void {
    const { tier, life } = this.#options;
    if (this.#redis.outage.explains(error)) return;
    life.log.warn({ err: error, tier, job: id }, 'handling a job failed: it comes again');
  }

  #measure(seconds: number): void {
    const known = this.#secondsPerDocument ?? seconds;
    this.#secondsPerDocument = known + NEWEST_WEIGHT * (seconds - known);
  }
}
