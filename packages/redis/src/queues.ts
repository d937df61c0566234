import { JOB_VERSION, LIMITS, jobIdOf, type DocumentJob } from '@spillway/core';
import { mapConcurrent } from '@spillway/runtime';
import { Queue } from 'bullmq';
import type { RedisStore } from './store.ts';
import { Script } from './script.ts';

/** `addBulk` holds its pipeline in memory: 50,000 jobs in one call cost 535 MB. */
const CHUNK = 500;

/** Clocks that are kept right differ by less, and a worker that is up wakes what is due within seconds. */
const CLOCK_TOLERANCE_MS = 5_000;

/** Delayed jobs that are looked at in one go, and woken at a time. */
const MAX_MISDATED = 5_000;
const WAKES_AT_A_TIME = 64;

const misdatedScript = new Script('misdated');
const takeTagsScript = new Script('take_tags', 'move_down', 'fair');

/** BullMQ carries, it never decides: its attempts are without end, and what is finished goes at once. */
const JOB_OPTIONS = {
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 1_000 },
  removeOnComplete: true,
  removeOnFail: true,
} as const;

/** Documents of a tenant's batch that are about to be enqueued. */
export type Flow = { readonly tenant: string; readonly batch: string; readonly documents: number };

/** The queues of all tiers, opened as they are named. */
export class Queues implements AsyncDisposable {
  readonly #redis: RedisStore;
  readonly #open = new Map<string, Queue>();

  constructor(redis: RedisStore) {
    this.#redis = redis;
  }

  /** The BullMQ queue of this name. */
  of(name: string): Queue {
    let queue = this.#open.get(name);
    if (queue === undefined) {
      queue = new Queue(name, {
        connection: this.#redis.client,
        prefix: this.#redis.keys.prefix,
        // Nobody reads the events, and each queue would keep 10,000 of them.
        streams: { events: { maxLen: 100 } },
      });
      // Its calls reject; the connection's own state is told where it was opened.
      queue.on('error', () => undefined);
      this.#open.set(name, queue);
      this.#forgetUnopened(name, queue);
    }
    return queue;
  }

  /** BullMQ keeps it for good if opening failed, as Redis was away just then: whoever needs the queue next opens it anew. */
  #forgetUnopened(name: string, queue: Queue): void {
    queue.waitUntilReady().catch(() => {
      if (this.#open.get(name) === queue) this.#open.delete(name);
      queue.close().catch(() => undefined);
    });
  }

  /** Takes start tags in a tier's queue for documents of one batch: which one each of them has, from 0. */
  async takeTags(name: string, { tenant, batch, documents }: Flow): Promise<(at: number) => number> {
    const { keys, client } = this.#redis;
    const args = [keys.jobs(name), tenant, batch, documents, LIMITS.queuePriority];
    const [own, step, row] = (await takeTagsScript.run(client, keys.tagInputs(name), args)) as [number, number, number];
    return (at) => Math.min(own + at * step, row + at, LIMITS.queuePriority);
  }

  /** Adds documents to a queue under their deterministic ids, each at its start tag; one that has a job there keeps it. */
  async add(name: string, jobs: readonly DocumentJob[], tagOf: (at: number) => number): Promise<void> {
    const queue = this.of(name);
    for (let from = 0; from < jobs.length; from += CHUNK) {
      const chunk = jobs.slice(from, from + CHUNK).map((data, index) => ({
        name: 'document',
        data,
        opts: {
          ...JOB_OPTIONS,
          jobId: jobIdOf(data.batch, data.document),
          priority: tagOf(from + index),
        },
      }));
      await queue.addBulk(chunk);
    }
  }

  /** Documents of a queue that no worker has taken up: waiting and due later. */
  async waiting(name: string): Promise<number> {
    const counts = await this.of(name).getJobCounts('prioritized', 'wait', 'delayed');
    return (counts['prioritized'] ?? 0) + (counts['wait'] ?? 0) + (counts['delayed'] ?? 0);
  }

  /** Whether a worker could take up a document of a queue now; not while somebody pauses all of it by BullMQ's own means. */
  async hasClaimable(name: string): Promise<boolean> {
    const [isPaused, { waiting }] = await Promise.all([this.of(name).isPaused(), this.depth(name)]);
    return !isPaused && waiting > 0;
  }

  /** The documents of a queue as BullMQ counts them. */
  async depth(name: string): Promise<{ waiting: number; active: number; delayed: number }> {
    const counts = await this.of(name).getJobCounts('prioritized', 'wait', 'delayed', 'active');
    return {
      waiting: (counts['prioritized'] ?? 0) + (counts['wait'] ?? 0),
      active: counts['active'] ?? 0,
      delayed: counts['delayed'] ?? 0,
    };
  }

  /**
   * Lets wait no longer what a worker put off by a clock that had jumped, or what is due and nobody woke; answers how many.
   */
  async wakeMisdated(name: string): Promise<number> {
    const { keys, client } = this.#redis;
    const args = [keys.jobs(name), CLOCK_TOLERANCE_MS, MAX_MISDATED];
    const ids = (await misdatedScript.run(client, [`${keys.queue(name)}:delayed`], args)) as string[];
    await mapConcurrent(ids, WAKES_AT_A_TIME, async (id) => {
      const job = await this.of(name).getJob(id);
      // Somebody else may have woken it meanwhile.
      await job?.promote().catch(() => undefined);
    });
    return ids.length;
  }

  /** The jobs of some ids that are in a queue. */
  async find(name: string, ids: readonly string[]): Promise<DocumentJob[]> {
    const jobs = await Promise.all(ids.map((id) => this.of(name).getJob(id)));
    return jobs.flatMap((job) => (job === undefined || job.data.v !== JOB_VERSION ? [] : [job.data as DocumentJob]));
  }

  /** Removes jobs that nobody needs any more; one that a worker holds stays, its worker drops it. */
  async drop(name: string, ids: readonly string[]): Promise<void> {
    const queue = this.of(name);
    await Promise.all(ids.map((id) => queue.remove(id)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map((queue) => queue.close()));
  }
}
