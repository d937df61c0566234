import { isRecovering, liveBatches, pagesInFlight, readBatch, type BatchState, type RedisStore } from '@spillway/redis';
import { mapConcurrent, type Log } from '@spillway/runtime';
import type { BatchPlan, Records } from '@spillway/storage';
import { recovering } from './live.ts';

/** What of a plan says where documents go. Batches of the same cascades share their routes. */
type OpenPlan = Route & Pick<BatchPlan, 'pages' | 'copies'>;
type Route = Pick<BatchPlan, 'cascades' | 'tiers' | 'firstTiers' | 'way'>;

/** An open batch, with the cascades that its documents name in its plan. */
export type OpenBatch = { readonly id: string; readonly state: BatchState; readonly plan: OpenPlan };

/** Batches are read by this many at a time. */
const MAX_CONCURRENT = 256;

/** Of batches that nothing was enqueued of when they were read, so many are read again each time. */
const READ_AGAIN = 200;

/** The open batches, and the pages in flight that were read with them. */
export type OpenInFlight = {
  readonly batches: readonly OpenBatch[];
  readonly pages: Awaited<ReturnType<typeof pagesInFlight>>;
};

type Sources = { readonly redis: RedisStore; readonly records: Records; readonly log: Log };

/**
 * All batches that take results. Those that wait to be enqueued may be many, and stay as they were read: they are read
 * again when they have pages in flight, and some of them each time in any case, so that whatever was missed is seen after
 * as many answers as it takes to read all. What is in flight is bounded: an answer costs about the same with ten waiting
 * batches and with a hundred thousand.
 */
export class OpenBatches {
  readonly #sources: Sources;
  #reading: Promise<OpenInFlight> | null = null;
  /** Those of which nothing was enqueued, those first that were read longest ago. */
  #waiting = new Map<string, OpenBatch>();
  /** Plans never change. The records' cache holds some thousand of them: of more batches it would read nearly all anew. */
  #plans = new Map<string, OpenPlan>();
  readonly #routes = new Map<string, Route>();

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /**
   * The open batches as they are now. Requests that come during a reading share it; what was enqueued is not remembered
   * after its end, as Redis may lose its memory then.
   */
  read(): Promise<OpenInFlight> {
    this.#reading ??= this.#all().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #all(): Promise<OpenInFlight> {
    await this.#refuseWhileRecovering();
    const { redis } = this.#sources;
    const [ids, pages] = await Promise.all([liveBatches(redis), pagesInFlight(redis)]);
    const begun = new Set(pages.map(({ batch }) => batch));
    const again = new Set(this.#waiting.keys().take(READ_AGAIN));
    const isKnown = (id: string): boolean => this.#waiting.has(id) && !begun.has(id) && !again.has(id);
    const read = (
      await mapConcurrent(
        ids.filter((id) => !isKnown(id)),
        MAX_CONCURRENT,
        (id) => this.#one(id),
      )
    ).flat();
    await this.#refuseWhileRecovering();
    const all = new Set(ids);
    const known = this.#waiting.values().filter(({ id }) => all.has(id) && isKnown(id));
    const open = [...known, ...read];
    this.#waiting = new Map(open.filter(({ state }) => state.enqueued === 0).map((batch) => [batch.id, batch]));
    this.#plans = new Map(open.map(({ id, plan }) => [id, plan]));
    return { batches: open, pages };
  }

  /** What is read of a Redis that lost its memory, before or amid the reading, is nothing. */
  async #refuseWhileRecovering(): Promise<void> {
    if (await isRecovering(this.#sources.redis)) throw recovering();
  }

  /** Empty for a batch that is not open, and for one whose records cannot be read: it must not hide the others. */
  async #one(id: string): Promise<OpenBatch[]> {
    const { redis, records, log } = this.#sources;
    const state = await readBatch(redis, id);
    if (state?.phase !== 'open') return [];
    try {
      const known = this.#plans.get(id);
      if (known !== undefined) return [{ id, state, plan: known }];
      const plan = await records.plan(id);
      return plan === null ? [] : [{ id, state, plan: this.#shared(plan) }];
    } catch (error) {
      log.debug({ err: error, batch: id }, 'a batch is not counted: its records cannot be read');
      return [];
    }
  }

  #shared({ pages, copies, cascades, tiers, firstTiers, way }: OpenPlan): OpenPlan {
    const name = JSON.stringify([cascades, tiers, firstTiers, way]);
    const route = this.#routes.get(name) ?? { cascades, tiers, firstTiers, way };
    this.#routes.set(name, route);
    return { pages, copies, ...route };
  }
}
