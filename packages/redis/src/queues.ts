import { jobDataOf, jobIdOf, LIMITS, readJob, type DocumentJob, type JobData } from '@spillway/core';
import { mapConcurrent } from '@spillway/runtime';
import { Queue } from 'bullmq';
import { readJobFields } from './jobs.ts';
import { JOB_OPTIONS, namesOf } from './new-job.ts';
import type { RedisStore } from './store.ts';
import { Script } from './script.ts';

/** `addBulk` holds its pipeline in memory: 50,000 jobs in one call cost 535 MB. */
const CHUNK = 500;

/** Clocks that are kept right differ by less, and a worker that is up wakes what is due within seconds. */
const CLOCK_TOLERANCE_MS = 5_000;

/** Delayed jobs that are looked at in one go, and woken at a time. */
const MAX_MISDATED = 5_000;
/** Jobs that are looked through in one go. */
const WOKEN_AT_A_TIME = 1_000;
const WAKES_AT_A_TIME = 64;

/** Of a state that has more jobs the documents are estimated by so many of them; to look at one takes Redis 1 to 4 µs. */
const MAX_COUNTED = 4_096;
/** The same where an estimate will do, and is wanted ten times a second. */
const MAX_ESTIMATED_BY = 256;

const bundlesScript = new Script('bundles', 'has_left', 'bundled');
const depthScript = new Script('depth', 'documents_of');
const misdatedScript = new Script('misdated');
const takeTagsScript = new Script('take_tags', 'move_down', 'documents_of', 'fair');

/** Documents of a tenant's batch that are about to be enqueued. */
export type Flow = { readonly tenant: string; readonly batch: string; readonly documents: number };

/** The documents of a page, by their place in the batch. */
export type PageDocuments = { readonly batch: string; readonly first: number; readonly documents: number };

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

  /**
   * Adds documents of a page to a queue under their deterministic ids, each at its start tag; one that has a job there
   * keeps it. As many as `size` are one job, which stands at the tag of its first document.
   */
  async add(
    name: string,
    documents: readonly DocumentJob[],
    tagOf: (at: number) => number,
    { size = 1, afterMs = 0 }: { readonly size?: number; readonly afterMs?: number } = {},
  ): Promise<void> {
    const queue = this.of(name);
    const jobs = Array.from({ length: Math.ceil(documents.length / size) }, (_, at) => {
      const some = documents.slice(at * size, (at + 1) * size);
      const { id: jobId, name: places } = namesOf(some);
      const delay = afterMs > 0 ? { delay: afterMs } : {};
      return {
        name: places,
        data: jobDataOf(some),
        opts: { ...JOB_OPTIONS, jobId, priority: tagOf(at * size), ...delay },
      };
    });
    const [only] = jobs;
    if (jobs.length === 1 && only !== undefined) await queue.add(only.name, only.data, only.opts);
    else for (let from = 0; from < jobs.length; from += CHUNK) await queue.addBulk(jobs.slice(from, from + CHUNK));
  }

  /** About how many documents of a queue no worker has taken up: waiting and due later. */
  async waiting(name: string): Promise<number> {
    const { waiting, delayed } = await this.depth(name, MAX_ESTIMATED_BY);
    return waiting + delayed;
  }

  /** All documents of a queue, whoever has them. */
  async documents(name: string): Promise<number> {
    const { waiting, delayed, active } = await this.depth(name);
    return waiting + delayed + active;
  }

  /** Whether a worker could take up a job of a queue now; not while somebody pauses all of it by BullMQ's own means. */
  async hasClaimable(name: string): Promise<boolean> {
    const [isPaused, counts] = await Promise.all([
      this.of(name).isPaused(),
      this.of(name).getJobCounts('prioritized', 'wait'),
    ]);
    return !isPaused && (counts['prioritized'] ?? 0) + (counts['wait'] ?? 0) > 0;
  }

  /** The documents of a queue, whatever jobs they are in, by BullMQ's states. */
  async depth(name: string, counted = MAX_COUNTED): Promise<{ waiting: number; active: number; delayed: number }> {
    const { keys, client } = this.#redis;
    const answer = await depthScript.run(client, keys.states(name), [keys.jobs(name), counted]);
    const [waiting, delayed, active] = answer as [number, number, number];
    return { waiting, active, delayed };
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

  /** Lets the jobs of a batch wait no longer that come again later. */
  async wakeBatch(name: string, batch: string): Promise<void> {
    const { keys, client } = this.#redis;
    let cursor = '0';
    do {
      const match = ['MATCH', `${batch}-*`, 'COUNT', WOKEN_AT_A_TIME] as const;
      const [next, found] = await client.zscan(`${keys.queue(name)}:delayed`, cursor, ...match);
      cursor = next;
      // Each is followed by its score.
      const ids = found.filter((_, at) => at % 2 === 0);
      await mapConcurrent(ids, WAKES_AT_A_TIME, async (id) => {
        const job = await this.of(name).getJob(id);
        await job?.promote().catch(() => undefined);
      });
    } while (cursor !== '0');
  }

  /** The documents at some places of a page that are in a queue. */
  async find(name: string, page: PageDocuments, places: readonly number[]): Promise<DocumentJob[]> {
    const wanted = new Set(places);
    const bundled = (await this.#bundles(name, page)).map(async (id) =>
      bundledDocuments(await readJobFields(this.#redis, { tier: name, id })),
    );
    const alone = places.map(async (place) => {
      const job = await this.of(name).getJob(jobIdOf(page.batch, page.first + place));
      return job === undefined ? [] : documentsIn(job.data as JobData);
    });
    return (await Promise.all([...alone, ...bundled])).flat().filter(({ place }) => wanted.has(place));
  }

  /** Removes the jobs of a page whose batch is over; one that a worker holds stays, its worker drops it. */
  async drop(name: string, page: PageDocuments, places: readonly number[]): Promise<void> {
    const queue = this.of(name);
    const ids = [
      ...places.map((place) => jobIdOf(page.batch, page.first + place)),
      ...(await this.#bundles(name, page)),
    ];
    await Promise.all(ids.map((id) => queue.remove(id)));
  }

  async #bundles(name: string, { batch, first, documents }: PageDocuments): Promise<string[]> {
    const { keys, client } = this.#redis;
    const args = [keys.queue(name), batch, first, documents];
    return (await bundlesScript.run(client, [keys.startTags(name)], args)) as string[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map((queue) => queue.close()));
  }
}

/** The field of a bundle's job that has one of its documents as it was changed. */
export const bundledField = (place: number): string => `d${place}`;

/** The documents of a bundle that have not left it, as they were changed, by the fields of its job. */
export function bundledDocuments({
  data = '{}',
  left = '',
  ...fields
}: Readonly<Record<string, string>>): DocumentJob[] {
  const gone = new Set(left.split(','));
  return documentsIn(JSON.parse(data) as JobData)
    .filter(({ place }) => !gone.has(String(place)))
    .map((document) => {
      const changed = fields[bundledField(document.place)];
      return changed === undefined ? document : (JSON.parse(changed) as DocumentJob);
    });
}

/** None of a job that another version wrote. */
function documentsIn(data: JobData): readonly DocumentJob[] {
  const content = readJob(data);
  return content.kind === 'bundle' || content.kind === 'document' ? content.documents : [];
}
