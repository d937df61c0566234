import {
  drawnShare,
  FairShare,
  isDrawn,
  JOB_VERSION,
  tierQueue,
  unfitReason,
  withoutDraft,
  type DocumentJob,
  type DocumentRequest,
} from '@spillway/core';
import { advance, beginPage } from '@spillway/redis';
import type { Sampling } from '@spillway/runtime';
import { apart, pageAt, pageCost, type BatchPlan, type Desk } from './desk.ts';
import { readDocuments } from './input.ts';
import type { LiveBatch } from './live.ts';
import { draftQueue, Room } from './room.ts';

/** Pages fed before the room is measured anew. */
const PAGES_A_TURN = 32;

type Candidate = { readonly id: string; readonly tenant: string; readonly plan: BatchPlan; readonly page: number };

/** Feeds documents to the drafters while there is room: tenants share evenly in bytes, then each one's batches. */
export class Feeder {
  readonly #desk: Desk;
  readonly #tenants = new FairShare();
  readonly #batches = new FairShare();

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** Feeds some pages; true when some were fed, so that there may be more at once. */
  async turn(live: readonly LiveBatch[]): Promise<boolean> {
    const open = live.filter((batch) => batch.phase === 'open');
    this.#forget(open);
    const candidates = new Map<string, Candidate>();
    for (const batch of open) {
      const candidate = await apart(this.#desk, batch.id, 'plan', () => this.#candidate(batch));
      if (candidate !== null) candidates.set(batch.id, candidate);
    }
    if (candidates.size === 0) return false;
    const room = await Room.measure(this.#desk);
    // A tier that lacks room for the next in turn waits for it: smaller pages must not keep slipping past a large one.
    const held = new Set<string>();
    let pages = 0;
    while (pages < PAGES_A_TURN) {
      const chosen = this.#choose(candidates, held, room);
      if (chosen === null) break;
      const lacking = room.lacking(chosen.plan, chosen.page);
      for (const tier of lacking) held.add(tier);
      if (lacking.length > 0) continue;
      const fed = await apart(this.#desk, chosen.id, 'feed', () => this.#feed(chosen));
      if (fed !== null) pages += 1;
      room.take(chosen.plan, chosen.page);
      if (fed === null || fed.next === null) candidates.delete(chosen.id);
      else candidates.set(chosen.id, fed.next);
    }
    return pages > 0;
  }

  #choose(candidates: ReadonlyMap<string, Candidate>, held: ReadonlySet<string>, room: Room): Candidate | null {
    const ready = [...candidates.values()].filter(
      ({ plan }) => room.isFirstOf(plan) || !plan.tiers.some((tier) => held.has(tier)),
    );
    const tenant = this.#tenants.next([...new Set(ready.map((candidate) => candidate.tenant))]);
    if (tenant === null) return null;
    const own = ready.filter((candidate) => candidate.tenant === tenant).map((candidate) => candidate.id);
    const chosen = this.#batches.next(own);
    return chosen === null ? null : (candidates.get(chosen) ?? null);
  }

  async #candidate(batch: LiveBatch): Promise<Candidate | null> {
    if (batch.fed >= batch.total) return null;
    const plan = await this.#desk.records.plan(batch.id);
    const page = plan === null ? null : pageAt(plan, batch.fed);
    return plan === null || page === null ? null : { id: batch.id, tenant: batch.tenant, plan, page };
  }

  /** Feeds one page; with the next one of the batch, or null when it has none for now. */
  async #feed(chosen: Candidate): Promise<{ next: Candidate | null }> {
    const { id, tenant, plan, page } = chosen;
    const at = plan.pages[page];
    if (at === undefined) return { next: null };
    // Also for a page that fails, so that it does not hold the turn for ever.
    this.#tenants.spend(tenant, pageCost(at));
    this.#batches.spend(id, pageCost(at));
    const begun = await beginPage(this.#desk.board, id, page, at, pageCost(at));
    if (begun === 'CLOSED' || begun === 'RECOVERING') return { next: null };
    if (begun === 'BEGUN') {
      const documents = await readDocuments(this.#desk, plan, at);
      await addDocuments(this.#desk, plan, page, documents, documents.keys().toArray());
    }
    const moved = await advance(this.#desk.board, id, at.first, at.first + at.documents);
    const hasNext = moved === 'ADVANCED' && plan.pages[page + 1] !== undefined;
    return { next: hasNext ? { ...chosen, page: page + 1 } : null };
  }

  #forget(open: readonly LiveBatch[]): void {
    const ids = new Set(open.map((batch) => batch.id));
    this.#batches.keep(ids);
    this.#tenants.keep(new Set(open.map((batch) => batch.tenant)));
  }
}

/** Puts documents of a page into their drafters' queues. `places` are their indices in the page. */
export async function addDocuments(
  desk: Desk,
  plan: BatchPlan,
  page: number,
  documents: readonly DocumentRequest[],
  places: readonly number[],
): Promise<void> {
  const first = plan.pages[page]?.first ?? 0;
  const now = Date.now();
  const share = tracedShare(desk.telemetry.spans?.settings.sampling, plan.total);
  const byQueue = new Map<string, DocumentJob[]>();
  for (const place of places) {
    const document = documents[place];
    const rules = document === undefined ? undefined : plan.cascades[document.cascade];
    if (document === undefined || rules === undefined) continue;
    const fed: DocumentJob = {
      v: JOB_VERSION,
      batch: plan.manifest.id,
      document: first + place,
      page,
      place,
      customId: document.customId,
      cascade: document.cascade,
      rules,
      endpoint: plan.manifest.endpoint,
      body: document.body,
      sampled: isDrawn({ batch: plan.manifest.id, document: first + place }, share),
      fedAtMs: now,
      deadlineMs: plan.manifest.expiresAtMs,
      tries: 0,
      waitingSinceMs: now,
      attempts: [],
      handedOverAtMs: null,
      draft: null,
    };
    const unfit = unfitReason(document.body, rules.limits);
    const job = unfit === null ? fed : withoutDraft(fed, unfit, now);
    const queue = unfit === null ? draftQueue(plan, document.cascade) : tierQueue('expert', rules.expert);
    byQueue.set(queue, [...(byQueue.get(queue) ?? []), job]);
  }
  for (const [queue, jobs] of byQueue) {
    const tag = await desk.queues.turns(queue, plan.manifest.id, jobs.length);
    await desk.queues.add(queue, jobs, tag);
  }
}

/** The share of a batch's documents whose traces are kept whatever comes of them. */
function tracedShare(sampling: Sampling | undefined, documents: number): number {
  if (sampling === undefined) return 0;
  return sampling.kind === 'share' ? sampling.share : drawnShare(sampling.perBatch, documents);
}
