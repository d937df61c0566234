import { FairShare, pageCost, pageOfDocument } from '@spillway/core';
import { advance, enqueuePage } from '@spillway/redis';
import type { BatchPlan, Records, Storage } from '@spillway/storage';
import { Capacity } from './capacity.ts';
import { addDocuments, type JobTarget } from './document-jobs.ts';
import { readDocuments } from './input.ts';
import type { LiveBatch } from './live-batches.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Pages enqueued before the capacity is measured anew. */
const PAGES_PER_STEP = 32;

export type EnqueuerOptions = JobTarget & {
  readonly storage: Storage;
  readonly records: Records;
  readonly failures: StepFailures;
};

/** A batch's next page. */
type Candidate = { readonly id: string; readonly tenant: string; readonly plan: BatchPlan; readonly page: number };

/** Enqueues pages while there is capacity: tenants share it evenly in bytes, then each one's batches do. */
export class Enqueuer {
  readonly #options: EnqueuerOptions;
  readonly #tenants = new FairShare();
  readonly #batches = new FairShare();

  constructor(options: EnqueuerOptions) {
    this.#options = options;
  }

  /** Enqueues some pages; true when some were enqueued, so that there may be more at once. */
  async enqueueSome(live: readonly LiveBatch[]): Promise<boolean> {
    const open = live.filter((batch) => batch.phase === 'open');
    this.#batches.keep(new Set(open.map((batch) => batch.id)));
    this.#tenants.keep(new Set(open.map((batch) => batch.tenant)));
    const candidates = await this.#candidates(open);
    if (candidates.size === 0) return false;
    const capacity = await Capacity.measure(this.#options);
    // A tier that lacks capacity for the next page waits for it: smaller pages must not keep slipping past a large one.
    const full = new Set<string>();
    let pages = 0;
    while (pages < PAGES_PER_STEP) {
      const chosen = this.#choose(candidates, full, capacity);
      if (chosen === null) break;
      const lacking = capacity.lacking(chosen.plan, chosen.page);
      for (const tier of lacking) full.add(tier);
      if (lacking.length > 0) continue;
      const step = { batch: chosen.id, step: 'enqueue' };
      const enqueued = await runStep(this.#options.failures, step, () => this.#enqueue(chosen));
      if (enqueued !== null) pages += 1;
      capacity.take(chosen.plan, chosen.page);
      if (enqueued === null || enqueued.next === null) candidates.delete(chosen.id);
      else candidates.set(chosen.id, enqueued.next);
    }
    return pages > 0;
  }

  async #candidates(open: readonly LiveBatch[]): Promise<Map<string, Candidate>> {
    const candidates = new Map<string, Candidate>();
    for (const batch of open) {
      const step = { batch: batch.id, step: 'plan' };
      const candidate = await runStep(this.#options.failures, step, () => this.#candidate(batch));
      if (candidate !== null) candidates.set(batch.id, candidate);
    }
    return candidates;
  }

  async #candidate(batch: LiveBatch): Promise<Candidate | null> {
    if (batch.enqueued >= batch.total) return null;
    const plan = await this.#options.records.plan(batch.id);
    const page = plan === null ? null : pageOfDocument(plan.pages, batch.enqueued);
    return plan === null || page === null ? null : { id: batch.id, tenant: batch.tenant, plan, page };
  }

  #choose(candidates: ReadonlyMap<string, Candidate>, full: ReadonlySet<string>, capacity: Capacity): Candidate | null {
    const ready = [...candidates.values()].filter(
      ({ plan }) => capacity.isFirstOf(plan) || !plan.tiers.some((tier) => full.has(tier)),
    );
    const tenant = this.#tenants.next([...new Set(ready.map((candidate) => candidate.tenant))]);
    if (tenant === null) return null;
    const own = ready.filter((candidate) => candidate.tenant === tenant).map((candidate) => candidate.id);
    const chosen = this.#batches.next(own);
    return chosen === null ? null : (candidates.get(chosen) ?? null);
  }

  /** Enqueues one page; answers the next one of the batch, or null when it has none for now. */
  async #enqueue(chosen: Candidate): Promise<{ next: Candidate | null }> {
    const { redis, storage } = this.#options;
    const { id, tenant, plan, page } = chosen;
    const at = plan.pages[page];
    if (at === undefined) return { next: null };
    // A page that fails is charged too, so that its batch is not chosen for ever.
    this.#tenants.spend(tenant, pageCost(at));
    this.#batches.spend(id, pageCost(at));
    const answer = await enqueuePage(redis, id, page, at, pageCost(at));
    if (answer === 'CLOSED' || answer === 'RECOVERING') return { next: null };
    if (answer === 'ENQUEUED') {
      const documents = await readDocuments(storage, plan, at);
      await addDocuments(this.#options, { plan, page, documents, places: documents.keys().toArray() });
    }
    const moved = await advance(redis, id, at.first, at.first + at.documents);
    const hasNext = moved === 'ADVANCED' && plan.pages[page + 1] !== undefined;
    return { next: hasNext ? { ...chosen, page: page + 1 } : null };
  }
}
