import type { TakenJob } from '@spillway/redis';
import { Job, type JobJson, type Worker } from 'bullmq';

/** So long a worker waits at a time for a job to come. */
const MAX_WAIT_S = 5;

/**
 * Where a worker's next job comes from. Like BullMQ's `getNextJob`, but it looks no more where the script that gave the last
 * job said that none waits: of an idle tier's scripts these looks in vain were two of three.
 */
export class JobSource {
  readonly #worker: Worker;
  /** No job waited when it looked last; what comes then leaves a marker. */
  #isEmpty = false;
  /** When the next delayed job is due, Unix ms, as far as it knows; 0: it knows of none. */
  #dueAtMs = 0;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** The next job; null: none came in a while. */
  async next(token: string): Promise<Job | null> {
    const { backend } = this.#worker;
    if (this.#isEmpty && !(await this.#isTold())) return null;
    return this.taken((await backend.moveToActive(token)) as unknown as TakenJob<JobJson>);
  }

  /** The job that a script gave, if it did; `taken` is all that it said. */
  taken([job, id, othersWait, dueAtMs]: Partial<TakenJob<JobJson>>): Job | null {
    this.#isEmpty = othersWait !== 1;
    this.#dueAtMs = dueAtMs ?? 0;
    return job && id ? Job.fromJSON(this.#worker, job, id) : null;
  }

  /** Waits for a marker, or until a delayed job is due; whether there may be a job now. */
  async #isTold(): Promise<boolean> {
    const { backend } = this.#worker;
    const waitMs = this.#dueAtMs === 0 ? MAX_WAIT_S * 1_000 : this.#dueAtMs - Date.now();
    if (waitMs <= 0) return true;
    const told = await this.#wait(Math.max(backend.minimumBlockTimeout, Math.min(MAX_WAIT_S, waitMs / 1_000)));
    // Of a delayed job the marker says when it is due; it is gone now, and nobody else is told.
    if (told === null || told.score <= Date.now()) return true;
    this.#dueAtMs = this.#dueAtMs === 0 ? told.score : Math.min(this.#dueAtMs, told.score);
    return false;
  }

  /** As BullMQ does: after an error the connection that waits may be cut off for good, as its watchdog cuts it. */
  async #wait(seconds: number): Promise<{ readonly score: number } | null> {
    const { backend } = this.#worker;
    try {
      return await backend.waitForJob(seconds);
    } catch (error) {
      if (this.#worker.closing === undefined) await backend.reconnectBlocking().catch(() => undefined);
      throw error;
    }
  }
}
