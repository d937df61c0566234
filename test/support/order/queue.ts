import { FairShare, Heap } from '@spillway/core';

/** Consecutive documents of one batch that go through a tier together. */
export type SimulatedJob = { readonly batch: number; readonly documents: number };

/** Whose a batch is and what says its place; `rank` is for an order that knows everything. */
export type Flow = { readonly batch: number; readonly tenant: string; readonly rank: number };

/** A tier's queue in a simulation. */
export type SimulatedQueue = {
  /** Documents that wait. */
  readonly length: number;
  add(flow: Flow, job: SimulatedJob): void;
  next(): SimulatedJob | null;
};

type Tagged = { readonly tag: number; readonly order: number; readonly job: SimulatedJob };

const byTag = (left: Tagged, right: Tagged): boolean =>
  left.tag < right.tag || (left.tag === right.tag && left.order < right.order);

/** What `packages/redis/src/lua/fair.lua` does, with a job's tag taken when it is added. */
export class TagQueue implements SimulatedQueue {
  readonly #heap = new Heap<Tagged>(byTag);
  readonly #precedence: ReadonlyMap<string, readonly number[]>;
  #now = 0;
  #order = 0;
  #length = 0;
  #tenants = new Map<string, { row: number; readonly batches: Map<number, number> }>();

  /** `precedence`: a tenant's batches that go first, as they are whenever tags are taken. */
  constructor(precedence: ReadonlyMap<string, readonly number[]>) {
    this.#precedence = precedence;
  }

  get length(): number {
    return this.#length;
  }

  add({ batch, tenant }: Flow, job: SimulatedJob): void {
    const tag = this.#takeTag(tenant, batch, job.documents);
    this.#heap.push({ tag, order: (this.#order += 1), job });
    this.#length += job.documents;
  }

  next(): SimulatedJob | null {
    const first = this.#heap.pop();
    if (first === undefined) return null;
    this.#length -= first.job.documents;
    this.#now = Math.max(this.#now, first.tag);
    return first.job;
  }

  #takeTag(tenant: string, batch: number, count: number): number {
    if (this.#length === 0) {
      this.#tenants.clear();
      this.#now = 0;
    }
    let own = this.#tenants.get(tenant);
    if (own === undefined) this.#tenants.set(tenant, (own = { row: 0, batches: new Map() }));
    const { batches } = own;
    const last = batches.get(batch) ?? 0;
    for (const [other, tag] of batches) if (tag <= this.#now) batches.delete(other);
    const row = Math.min(Math.max(this.#now, own.row), this.#now + this.#length) + 1;
    own.row = row + count - 1;
    const { start, step } = this.#place(tenant, batch, { batches, last, row });
    batches.set(batch, Math.min(start + (count - 1) * step, row + count - 1));
    return Math.min(start, row);
  }

  #place(
    tenant: string,
    batch: number,
    {
      batches,
      last,
      row,
    }: { readonly batches: ReadonlyMap<number, number>; readonly last: number; readonly row: number },
  ): { start: number; step: number } {
    const first = this.#precedence.get(tenant) ?? [];
    const at = first.indexOf(batch);
    const before = at < 0 ? first : first.slice(0, at);
    const behind = before.reduce((most, other) => Math.max(most, batches.get(other) ?? 0), this.#now);
    if (at >= 0) return { start: Math.max(behind, last) + 1, step: 1 };
    if (behind > this.#now) return { start: row, step: 1 };
    const step = batches.size + (last > this.#now ? 0 : 1);
    return { start: Math.max(this.#now, last) + step, step };
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

  next(): SimulatedJob | null {
    const ready = [...this.#tenants].flatMap(([tenant, heap]) => (heap.size > 0 ? [tenant] : []));
    const tenant = this.#share.next(ready);
    const first = tenant === null ? undefined : this.#tenants.get(tenant)?.pop();
    if (tenant === null || first === undefined) return null;
    this.#share.spend(tenant, first.job.documents);
    this.#length -= first.job.documents;
    return first.job;
  }
}
