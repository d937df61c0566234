import { FairQueue, FairShare, pageCost, TenantShares } from '@spillway/core';
import { advance, enqueuePage, fullPages, TierLoads } from '@spillway/redis';
import { mapConcurrent } from '@spillway/runtime';
import type { Records, Storage } from '@spillway/storage';
import { Capacity } from './capacity.ts';
import { addDocuments, addLostDocuments, type AnswerSources, type JobTarget } from './document-jobs.ts';
import { readDocuments } from './input.ts';
import type { LiveBatch, LiveBatches } from './live-batches.ts';
import { OneByOne } from './one-by-one.ts';
import type { Outline, Outlines, PageOutline, Route } from './outlines.ts';
import type { Precedence } from './precedence.ts';
import { LARGE_PAGE_BYTES } from './seal.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Pages chosen before the capacity is looked at anew. */
const PAGES_PER_STEP = 64;
/** Batches whose pages are enqueued at a time; of large pages only one is held. */
const MAX_CONCURRENT = 8;
/** Batches that are put into their queues in one pass, and how many of their outlines are read at a time. */
const SORTED_PER_STEP = 2_000;
const MAX_READS = 16;
/** Pages of a batch that was decided anew that wait to be sealed while none of it is enqueued. */
const MAX_FULL_PAGES = 16;
/** A measurement reads every page in flight. It takes this part of the time at most, also where there are ten thousands. */
const MEASURED_SHARE = 0.1;

export type EnqueuerOptions = JobTarget &
  AnswerSources & {
    readonly storage: Storage;
    readonly records: Records;
    readonly outlines: Outlines;
    readonly failures: StepFailures;
    readonly live: LiveBatches;
    readonly precedence: Precedence;
  };

/** A batch's next page. */
type Candidate = { readonly batch: LiveBatch; readonly outline: Outline; readonly page: number };

/** What pages wait for that are to be enqueued. */
type Lacking = { readonly tiers: ReadonlySet<string>; readonly isMemoryFull: boolean };

type Chosen = { readonly id: string; readonly page: number; readonly at: PageOutline };

/** Batches of a tenant that go the same way. */
type Group = { readonly route: Route; readonly queue: FairQueue };

/**
 * Enqueues pages while there is capacity: tenants share it evenly in bytes, then each one's batches do, but for those
 * that have precedence, which come before the others of their tenant and are not charged for it. Batches that wait
 * for capacity stand in queues, by tenant and way, so that a pass costs what it enqueues, however many wait.
 */
export class Enqueuer {
  readonly #options: EnqueuerOptions;
  readonly #loads: TierLoads;
  readonly #tenants = new FairShare();
  readonly #batches = new TenantShares();
  readonly #groups = new Map<string, Map<Route, Group>>();
  readonly #candidates = new Map<string, Candidate>();
  /** Batches with pages to enqueue that are in no queue yet. */
  readonly #unsorted = new Map<string, LiveBatch>();
  readonly #large = new OneByOne();
  #capacity: { readonly capacity: Capacity; readonly untilMs: number } | null = null;
  #lacking: Lacking = { tiers: new Set(), isMemoryFull: false };

  constructor(options: EnqueuerOptions) {
    this.#options = options;
    this.#loads = new TierLoads(options.redis, options.queues);
  }

  note(id: string, batch: LiveBatch | null): void {
    this.#drop(id);
    if (batch?.phase === 'open' && batch.enqueued < batch.total && !batch.paused) this.#unsorted.set(id, batch);
    if (batch === null) this.#batches.forget(id);
  }

  /** The tiers for which pages waited when some were chosen last. */
  get lacking(): Lacking {
    return this.#lacking;
  }

  /** Enqueues some pages; true when some were enqueued, so that there may be more at once. */
  async enqueueSome(): Promise<boolean> {
    await this.#sort();
    if (this.#candidates.size === 0) this.#lacking = { tiers: new Set(), isMemoryFull: false };
    if (this.#candidates.size === 0) return false;
    const capacity = await this.#measured();
    const chosen = this.#chooseSome(capacity);
    const byBatch = Map.groupBy(chosen, ({ id }) => id);
    const enqueued = await mapConcurrent(byBatch.values(), MAX_CONCURRENT, (pages) => this.#enqueueAll(pages));
    // What came of it is read again, whatever was expected when the pages were chosen.
    for (const id of byBatch.keys()) this.#options.live.noteChange(id);
    return enqueued.some(Boolean);
  }

  /** Puts batches into the queues of their tenants and ways. */
  async #sort(): Promise<void> {
    const { failures, outlines } = this.#options;
    const isReady = ([id]: readonly [string, LiveBatch]): boolean => !failures.isWaiting({ batch: id, step: 'plan' });
    const some = this.#unsorted.entries().filter(isReady).take(SORTED_PER_STEP).toArray();
    await mapConcurrent(some, MAX_READS, async ([id, batch]) => {
      const outline = await runStep(failures, { batch: id, step: 'plan' }, () => outlines.of(id));
      // It may have changed meanwhile, and then comes again.
      if (outline === null || this.#unsorted.get(id) !== batch) return;
      this.#unsorted.delete(id);
      const page = outline.pages.of(batch.enqueued);
      if (page !== null) this.#put({ batch, outline, page });
    });
  }

  async #measured(): Promise<Capacity> {
    const beganMs = performance.now();
    if (this.#capacity !== null && beganMs < this.#capacity.untilMs) return this.#capacity.capacity;
    const capacity = await Capacity.measure(this.#options);
    const endedMs = performance.now();
    this.#capacity = { capacity, untilMs: endedMs + (endedMs - beganMs) * (1 / MEASURED_SHARE - 1) };
    return capacity;
  }

  #chooseSome(capacity: Capacity): Chosen[] {
    // A tier that lacks capacity for the next page waits for it: smaller pages must not keep slipping past a large one.
    const full = new Set<string>();
    const chosen: Chosen[] = [];
    while (chosen.length < PAGES_PER_STEP) {
      const next = this.#choose(full, capacity);
      if (next === null) break;
      const { batch, outline, page } = next;
      const at = outline.pages.at(page);
      if (at === undefined) throw new Error(`${batch.id} has no page ${page}`);
      const lacking = capacity.lacking(outline, at);
      for (const tier of lacking) full.add(tier);
      if (lacking.length > 0) continue;
      capacity.take(outline, at);
      // A page that fails is charged too, so that its batch is not chosen for ever. Where others wait for capacity a tenant's
      // first page goes before its turn.
      const isEarly = isHeldUp(outline.route, full);
      if (isEarly) this.#tenants.spendEarly(outline.tenant, at.costBytes);
      else this.#tenants.spend(outline.tenant, at.costBytes);
      if (!this.#options.precedence.of(outline.tenant).includes(batch.id)) {
        this.#batches.spend(outline.tenant, batch.id, at.costBytes);
      }
      chosen.push({ id: batch.id, page, at });
      this.#drop(batch.id);
      if (page + 1 < outline.pages.length) this.#put({ ...next, page: page + 1 });
    }
    this.#lacking = { tiers: full, isMemoryFull: capacity.isMemoryFull };
    return chosen;
  }

  /** The next page of the tenant that had least, of its batch that has precedence or had least, that no full tier holds up. */
  #choose(full: ReadonlySet<string>, capacity: Capacity): Candidate | null {
    const ready = new Map<string, Group[]>();
    for (const [tenant, groups] of this.#groups) {
      const isFirst = capacity.isFirstOf(tenant);
      const own = groups
        .values()
        .filter(({ route }) => isFirst || !isHeldUp(route, full))
        .toArray();
      if (own.length > 0) ready.set(tenant, own);
    }
    const tenant = this.#tenants.next([...ready.keys()]);
    if (tenant === null) return null;
    const own = ready.get(tenant) ?? [];
    const isReady = (one: Candidate | undefined): boolean => own.some(({ route }) => route === one?.outline.route);
    const due = this.#options.precedence.of(tenant).values();
    const firstDue = due.map((id) => this.#candidates.get(id)).find(isReady);
    if (firstDue !== undefined) return firstDue;
    const nexts = own.flatMap(({ queue }) => queue.next() ?? []);
    const [first] = nexts.toSorted((left, right) => left.tag - right.tag || left.order - right.order);
    return first === undefined ? null : (this.#candidates.get(first.flow) ?? null);
  }

  #put(candidate: Candidate): void {
    const { batch, outline } = candidate;
    const { tenant, route } = outline;
    this.#candidates.set(batch.id, candidate);
    let groups = this.#groups.get(tenant);
    if (groups === undefined) this.#groups.set(tenant, (groups = new Map()));
    let group = groups.get(route);
    if (group === undefined) groups.set(route, (group = { route, queue: new FairQueue(this.#batches.of(tenant)) }));
    group.queue.put(batch.id, batch.createdAtMs);
  }

  /** Takes a batch out of its queue, and a tenant or a way that has none any more out of the choice. */
  #drop(id: string): void {
    this.#unsorted.delete(id);
    const candidate = this.#candidates.get(id);
    if (candidate === undefined) return;
    this.#candidates.delete(id);
    const { tenant, route } = candidate.outline;
    const groups = this.#groups.get(tenant);
    const group = groups?.get(route);
    group?.queue.drop(id);
    if (group?.queue.size === 0) groups?.delete(route);
    if (groups?.size === 0) this.#groups.delete(tenant);
  }

  /** Enqueues pages of one batch, in order, as far as it goes; true when one was enqueued. */
  async #enqueueAll(pages: readonly Chosen[]): Promise<boolean> {
    let hasEnqueued = false;
    for (const { id, page, at } of pages) {
      const work = (): Promise<boolean> => this.#enqueue(id, page);
      const step = { batch: id, step: 'enqueue' } as const;
      const isLarge = at.bytes > LARGE_PAGE_BYTES;
      const moved = await runStep(this.#options.failures, step, () => (isLarge ? this.#large.run(work) : work()));
      if (moved !== true) break;
      hasEnqueued = true;
    }
    return hasEnqueued;
  }

  /** What is known is settled at once, quicker than pages go to storage: Redis is not to hold it all meanwhile. */
  async #hasManyFull(id: string): Promise<boolean> {
    const full = await fullPages(this.#options.redis);
    return full.filter(({ batch }) => batch === id).length > MAX_FULL_PAGES;
  }

  /** Enqueues one page; false when the batch takes no more now. */
  async #enqueue(id: string, page: number): Promise<boolean> {
    const { redis, storage, records } = this.#options;
    const plan = await records.plan(id);
    const at = plan?.pages[page];
    if (plan === null || at === undefined) return false;
    if (plan.manifest.redecided !== undefined && (await this.#hasManyFull(id))) return false;
    const answer = await enqueuePage(redis, id, page, at, pageCost(at));
    if (answer === 'CLOSED' || answer === 'RECOVERING') return false;
    // Whoever began with it may have been lost in the middle of it.
    if (answer === 'AGAIN') await addLostDocuments(this.#options, plan, page);
    if (answer === 'ENQUEUED') {
      const documents = await readDocuments(storage, plan, at);
      const places = documents.keys().toArray();
      await addDocuments(this.#options, { plan, page, documents, places, loads: this.#loads });
    }
    return (await advance(redis, id, at.first, at.first + at.documents)) === 'ADVANCED';
  }
}

/** Whether documents that go this way wait for capacity of one of its tiers. */
const isHeldUp = ({ tiers }: Route, full: ReadonlySet<string>): boolean => tiers.some((tier) => full.has(tier));
