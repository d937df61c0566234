import { dealt, FairShare, Heap, inRow } from '@spillway/core';

/** Consecutive documents of one batch that go through a tier together. */
export type SimulatedJob = { readonly batch: number; readonly documents: number };

/** Whose a batch is and what says its place; `rank` is for an order that knows everything. */
export type Flow = { readonly batch: number; readonly tenant: string; readonly rank: number };

/** A tier's queue in a simulation. */
export type SimulatedQueue = {
  /** Documents that wait. */
  readonly length: number;
  add(flow: Flow, job: SimulatedJob): void;
  /** The next job of a batch that is live; the others are dropped, as workers drop them. */
  next(isLive: (batch: number) => boolean): SimulatedJob | null;
};

type Tagged = { tag: number; order: number; readonly tenant: string; readonly job: SimulatedJob };

const byTag = (left: Tagged, right: Tagged): boolean =>
  left.tag < right.tag || (left.tag === right.tag && left.order < right.order);

/** What `fair.lua` of packages/redis does, where a job takes as many tags as it has documents; and `deal_tags.lua`. */
export class TagQueue implements SimulatedQueue {
  readonly #heap = new Heap<Tagged>(byTag);
  readonly #tenants = new Map<string, { row: number; taken: number; readonly batches: Map<number, number> }>();
  #now = 0;
  #order = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add({ batch, tenant }: Flow, job: SimulatedJob): void {
    const tag = this.#takeTag(tenant, batch, job.documents);
    this.#heap.push({ tag, order: (this.#order += 1), tenant, job });
    this.#length += job.documents;
  }

  next(isLive: (batch: number) => boolean): SimulatedJob | null {
    for (let first = this.#heap.pop(); first !== undefined; first = this.#heap.pop()) {
      this.#length -= first.job.documents;
      this.#now = Math.max(this.#now, first.tag);
      if (!isLive(first.job.batch)) continue;
      const own = this.#tenants.get(first.tenant);
      if (own !== undefined) own.taken = Math.max(own.taken, first.tag + first.job.documents);
      return first.job;
    }
    return null;
  }

  /** Has each tenant's jobs of live batches stand in a row, those of the batches with precedence first. */
  deal(precedence: ReadonlyMap<string, readonly number[]>, isLive: (batch: number) => boolean): void {
    const all: Tagged[] = [];
    for (let one = this.#heap.pop(); one !== undefined; one = this.#heap.pop()) all.push(one);
    const live = all.filter(({ job }) => isLive(job.batch));
    for (const [tenant, own] of Map.groupBy(live, (one) => one.tenant)) {
      this.#stand(tenant, own);
      const places = own.map(({ tag, order, job }) => ({ key: { tag, order }, flow: job.batch }));
      for (const { job, to } of dealt(places, precedence.get(tenant) ?? [])) {
        Object.assign(own[job] ?? {}, places[to]?.key);
      }
    }
    for (const one of all) this.#heap.push(one);
  }

  #stand(tenant: string, own: readonly Tagged[]): void {
    const known = this.#tenants.get(tenant);
    if (known === undefined) return;
    const row = inRow(
      own.map(({ tag, job: { documents } }) => ({ tag, documents })),
      Math.max(this.#now + 1, known.taken),
    );
    if (row === null) return;
    for (const [at, one] of own.entries()) {
      one.tag = row[at] ?? one.tag;
      const last = one.tag + one.job.documents - 1;
      known.batches.set(one.job.batch, Math.max(last, known.batches.get(one.job.batch) ?? 0));
      known.row = Math.max(known.row, last);
    }
  }

  #takeTag(tenant: string, batch: number, count: number): number {
    if (this.#length === 0) {
      this.#tenants.clear();
      this.#now = 0;
    }
    let own = this.#tenants.get(tenant);
    if (own === undefined) this.#tenants.set(tenant, (own = { row: 0, taken: 0, batches: new Map() }));
    const { batches } = own;
    const last = batches.get(batch) ?? 0;
    for (const [other, tag] of batches) if (tag <= this.#now) batches.delete(other);
    const step = batches.size + (last > this.#now ? 0 : 1);
    const start = Math.max(this.#now, last) + step;
    const row = Math.min(Math.max(this.#now, own.row), this.#now + this.#length) + 1;
    own.row = row + count - 1;
    batches.set(batch, Math.min(start + (count - 1) * step, row + count - 1));
    return Math.min(start, row);
  }
}

type Ranked = { readonly rank: number; readonly order: number; readonly job: SimulatedJob };

const byRank = (left: Ranked, right: Ranked): boolean =>
  left.rank < right.rank || (left.rank === right.rank && left.order < right.order);

/** Tenants share, and of each the batch of the least rank is next at any time: nothing is decided before it must be. */
export class RankQueue implements SimulatedQueue {
  readonly #tenants = new Map<string, Heap<Ranked>>();
  readonly #share = new FairShare();
  #order = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add({ tenant, rank }: Flow, job: SimulatedJob): void {
    let heap = this.#tenants.get(tenant);
    if (heap === undefined) this.#tenants.set(tenant, (heap = new Heap(byRank)));
    heap.push({ rank, order: (this.#order += 1), job });
    this.#length += job.documents;
  }

  next(isLive: (batch: number) => boolean): SimulatedJob | null {
    for (const heap of this.#tenants.values()) {
      for (let first = heap.peek(); first !== undefined && !isLive(first.job.batch); first = heap.peek()) {
        heap.pop();
        this.#length -= first.job.documents;
      }
    }
    const ready = [...this.#tenants].flatMap(([tenant, heap]) => (heap.size > 0 ? [tenant] : []));
    const tenant = this.#share.next(ready);
    const first = tenant === null ? undefined : this.#tenants.get(tenant)?.pop();
    if (tenant === null || first === undefined) return null;
    this.#share.spend(tenant, first.job.documents);
    this.#length -= first.job.documents;
    return first.job;
  }
}
