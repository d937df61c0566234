import { connectRedis, type RedisClient, type RedisStore } from '@spillway/redis';
import { within } from '@spillway/runtime';
import { Worker, type Job } from 'bullmq';

export type QueueWorkerOptions = {
  readonly tier: string;
  readonly concurrency: number;
  /** How long a job stays with a worker that went silent. */
  readonly lockMs: number;
  readonly process: (job: Job, token: string) => Promise<void>;
  readonly onFailed: (job: Job | undefined, error: Error) => void;
  readonly onError: (error: unknown) => void;
  /** Its loop broke: it takes nothing any more. */
  readonly onBroken: (error: unknown) => void;
};

/** BullMQ's worker with its connections: the one that is handed to it, and one that it makes of that to wait on. */
type Opened = { readonly worker: Worker; readonly connection: RedisClient };

/** Takes the jobs of a tier's queue by a worker of BullMQ, which can be replaced by one with new connections. */
export class QueueWorker {
  readonly #redis: RedisStore;
  readonly #options: QueueWorkerOptions;
  #opened: Opened;
  #concurrency: number;
  #isStarted = false;
  #isPaused = false;

  constructor(redis: RedisStore, options: QueueWorkerOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#concurrency = options.concurrency;
    this.#opened = this.#open();
  }

  /** How many jobs at a time. */
  get concurrency(): number {
    return this.#concurrency;
  }

  set concurrency(concurrency: number) {
    this.#concurrency = concurrency;
    this.#opened.worker.concurrency = concurrency;
  }

  start(): void {
    this.#isStarted = true;
    if (!this.#isPaused) this.#run();
  }

  /** Takes no more jobs; those that it has go on. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#opened.worker.pause(true);
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#isStarted) return;
    // Where its loop ended meanwhile it begins another, whose breaking ends the process like that of the first.
    void this.#opened.worker.resume();
  }

  /**
   * Goes on with a worker that has connections of its own. The one before takes no more jobs, and is closed when those that
   * it has are done, at the latest after `limitMs`; what it could not put back by then comes back when its lock is over.
   */
  replace(limitMs: number): void {
    const before = this.#opened;
    this.#opened = this.#open();
    if (this.#isStarted && !this.#isPaused) this.#run();
    void before.worker.pause(true);
    void this.#close(before, limitMs);
  }

  /** Without Redis closing would wait for it: what is not done after `limitMs` is cut off. */
  async close(limitMs: number): Promise<void> {
    await this.#close(this.#opened, limitMs);
  }

  #open(): Opened {
    const { tier, lockMs, process, onFailed, onError } = this.#options;
    const connection = connectRedis(this.#redis.address, 'wait');
    const worker = new Worker(tier, (job: Job, token?: string) => process(job, token ?? ''), {
      connection,
      prefix: this.#redis.keys.prefix,
      concurrency: this.#concurrency,
      lockDuration: lockMs,
      stalledInterval: Math.max(1_000, Math.floor(lockMs / 2)),
      maxStalledCount: 1_000_000,
      autorun: false,
    });
    worker.on('failed', onFailed);
    worker.on('error', onError);
    return { worker, connection };
  }

  #run(): void {
    this.#opened.worker.run().catch(this.#options.onBroken);
  }

  /** BullMQ closes the connection that it made, not the one that it was given. */
  async #close({ worker, connection }: Opened, limitMs: number): Promise<void> {
    await within(limitMs, worker.close()).catch((error: unknown) => {
      this.#options.onError(error);
      worker.disconnect().catch(this.#options.onError);
    });
    connection.disconnect();
  }
}
