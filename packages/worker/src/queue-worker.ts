import { connectRedis, pressOn, tellOfQueue, type RedisClient, type RedisStore, type TakenJob } from '@spillway/redis';
import { nextRound, pause, within } from '@spillway/runtime';
import { Worker, type Job, type JobJson } from 'bullmq';
import { JobSource } from './job-source.ts';
import type { Slots } from './slots.ts';

export type QueueWorkerOptions = {
  readonly tier: string;
  /** The calls at a time: a job is fetched when there is one to spare. */
  readonly slots: Slots;
  /** How long a job stays with a worker that went silent. */
  readonly lockMs: number;
  /** Begins with a job, and reserves its slots before it waits for anything; resolves when all of the job is done with. */
  readonly process: (job: Job, token: string, ends: JobEnds) => Promise<void>;
  readonly onError: (error: unknown) => void;
};

/** How a job ends that was handled. */
export type JobEnds = {
  /** It goes, as nobody needs it any more. */
  readonly complete: () => Promise<void>;
  /** It is next in line again. */
  readonly putBack: () => Promise<void>;
};

/**
 * BullMQ's worker with its connections: the one that is handed to it, and one that it makes of that to wait on; and its
 * jobs with their lock tokens.
 */
type Opened = {
  readonly worker: Worker;
  readonly connection: RedisClient;
  readonly source: JobSource;
  readonly jobs: Map<string, string>;
  readonly running: Set<Promise<void>>;
  /** Its next job is being fetched. */
  isFetching: boolean;
  /** It put a job back while it ended, of which nobody was told yet. */
  hasPutBack: boolean;
  /** No more jobs are fetched; their locks are renewed until `closed`. */
  readonly ending: AbortController;
  readonly closed: AbortController;
};

/** Locks are renewed so many times before one would be over. */
const RENEWALS = 4;

/** After an error that is not of the connection, which waits by itself. */
const FETCH_AGAIN_MS = 1_000;

/**
 * Takes the jobs of a tier's queue by a worker of BullMQ, which can be replaced by one with new connections. Jobs are
 * fetched by hand (https://docs.bullmq.io/patterns/manually-fetching-jobs): BullMQ's own loop counts jobs, and looks for
 * the next one when a job is done; what counts here is documents, of which a job has several.
 */
export class QueueWorker {
  readonly #redis: RedisStore;
  readonly #options: QueueWorkerOptions;
  #opened: Opened;
  #fetched = 0;
  #isStarted = false;
  #isPaused = false;
  #resumed = Promise.withResolvers<void>();

  constructor(redis: RedisStore, options: QueueWorkerOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#opened = this.#open();
  }

  start(): void {
    this.#isStarted = true;
    this.#run(this.#opened);
  }

  /** Takes no more jobs; those that it has go on. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#wake();
  }

  /**
   * Goes on with a worker that has connections of its own. The one before takes no more jobs, and is closed when those that
   * it has are done, at the latest after `limitMs`; what it could not put back by then comes back when its lock is over.
   */
  replace(limitMs: number): void {
    const before = this.#opened;
    this.#opened = this.#open();
    if (this.#isStarted) this.#run(this.#opened);
    void this.#close(before, limitMs);
  }

  /** Without Redis closing would wait for it: what is not done after `limitMs` is cut off. */
  async close(limitMs: number): Promise<void> {
    await this.#close(this.#opened, limitMs);
  }

  #open(): Opened {
    const { tier, lockMs, onError } = this.#options;
    const connection = tellOfQueue(pressOn(connectRedis(this.#redis.address, 'wait')));
    const worker = new Worker(tier, null, {
      connection,
      prefix: this.#redis.keys.prefix,
      lockDuration: lockMs,
      stalledInterval: Math.max(1_000, Math.floor(lockMs / 2)),
      maxStalledCount: 1_000_000,
      autorun: false,
    });
    worker.on('error', onError);
    return {
      worker,
      connection,
      source: new JobSource(worker),
      jobs: new Map(),
      running: new Set(),
      isFetching: false,
      hasPutBack: false,
      ending: new AbortController(),
      closed: new AbortController(),
    };
  }

  /** Whoever waits for the end of a pause looks again. */
  #wake(): void {
    this.#resumed.resolve();
    this.#resumed = Promise.withResolvers();
  }

  #run(opened: Opened): void {
    const { onError } = this.#options;
    opened.worker.startStalledCheckTimer().catch(onError);
    void this.#renewLocks(opened);
    void this.#fetchAll(opened);
  }

  async #fetchAll(opened: Opened): Promise<void> {
    const { slots } = this.#options;
    const { signal } = opened.ending;
    while (!signal.aborted) {
      await slots.spare();
      if (this.#isPaused) {
        await this.#resumed.promise;
        continue;
      }
      if (signal.aborted) return;
      if (!(await this.#fetchOne(opened))) await pause(FETCH_AGAIN_MS, signal);
      // What the job that came asks of Redis goes before the question for the next one.
      await nextRound();
    }
  }

  /** Waits for the next job, for a while where there is none; false: that went wrong. */
  async #fetchOne(opened: Opened): Promise<boolean> {
    const token = `${opened.worker.id}:${this.#fetched++}`;
    opened.isFetching = true;
    try {
      const job = await opened.source.next(token);
      if (job !== null) this.#begin(opened, job, token);
      return true;
    } catch (error) {
      this.#options.onError(error);
      return false;
    } finally {
      opened.isFetching = false;
    }
  }

  #begin(opened: Opened, job: Job, token: string): void {
    const { jobs, running } = opened;
    const id = job.id ?? '';
    jobs.set(id, token);
    const run = this.#options
      .process(job, token, {
        complete: () => this.#complete(opened, job, token),
        putBack: () => this.#putBack(opened, job, token),
      })
      .catch(this.#options.onError)
      .finally(() => {
        // Where its lock was lost, it may have come to this worker once more.
        if (jobs.get(id) === token) jobs.delete(id);
        running.delete(run);
      });
    running.add(run);
  }

  /** Where there is a call to spare, the next job comes in the same step. */
  async #complete(opened: Opened, job: Job, token: string): Promise<void> {
    const { slots } = this.#options;
    const claim = slots.reserve();
    const fetches = claim.isTaken && !opened.isFetching && !this.#isPaused && !opened.ending.signal.aborted;
    if (!fetches) claim.release();
    const completed = job.moveToCompleted(null, token, fetches).finally(() => claim.release());
    const answer = (await completed) as unknown as TakenJob<JobJson> | undefined;
    if (!fetches || !Array.isArray(answer)) return;
    const next = opened.source.taken(answer);
    // It is locked with the token of the one before.
    if (next !== null) this.#begin(opened, next, token);
  }

  /**
   * BullMQ tells nobody of a job with a priority that goes back: who waits for one would look again after five seconds. While
   * a worker ends its own last fetch may still wait, would take the job, and leave it to no one: it tells the others then.
   */
  async #putBack(opened: Opened, job: Job, token: string): Promise<void> {
    await job.moveToWait(token);
    if (opened.ending.signal.aborted) opened.hasPutBack = true;
    else await this.#tellOfJob(opened.worker);
  }

  async #tellOfJob(worker: Worker): Promise<void> {
    await this.#redis.client.zadd(worker.toKey('marker'), 0, '0');
  }

  async #renewLocks({ worker, jobs, closed: { signal } }: Opened): Promise<void> {
    const { lockMs, onError } = this.#options;
    while (!signal.aborted) {
      await pause(lockMs / RENEWALS, signal);
      if (jobs.size > 0) {
        await worker.extendJobLocks([...jobs.keys()], [...jobs.values()], lockMs).catch(onError);
      }
    }
  }

  /** BullMQ closes the connection that it made, not the one that it was given. */
  async #close(opened: Opened, limitMs: number): Promise<void> {
    const { worker, connection, running, ending, closed } = opened;
    const { onError } = this.#options;
    ending.abort();
    this.#wake();
    const rest = async (): Promise<void> => {
      // A job may end by beginning with the next one.
      while (running.size > 0) await Promise.allSettled(running);
    };
    await within(limitMs, rest()).catch(onError);
    closed.abort();
    // Nothing is under way that it should wait for, but for its waiting for the next job.
    const left = worker.close(true).catch(onError);
    connection.disconnect();
    if (!opened.hasPutBack) return;
    const tell = async (): Promise<void> => {
      await left;
      // To Redis the connection that waited may not be gone yet: it would take one word. One too many wakes a worker in vain.
      for (let word = 0; word < 2; word += 1) await this.#tellOfJob(worker);
    };
    await within(limitMs, tell()).catch(onError);
  }
}
