import { FairShare } from '@spillway/core';
import type { Mix, MixBatch } from './mixes.ts';
import { RankQueue, TagQueue, type Flow, type SimulatedJob, type SimulatedQueue } from './queue.ts';

type TierName = 'drafter' | 'expert';
const TIERS: readonly TierName[] = ['drafter', 'expert'];

/** Documents of a page, of a job, and how many may wait for the drafter and be in flight, as small documents fill them. */
const PAGE = 256;
const JOB = 64;
const MAX_WAITING = 4_096;
const MAX_IN_FLIGHT = 32_768;

/** How far a batch is. */
export type BatchProgress = {
  readonly index: number;
  readonly batch: MixBatch;
  enqueued: number;
  drafted: number;
  /** Of the drafted ones, those that were handed off, and of these those that the expert answered. */
  escalated: number;
  answered: number;
  finishedAtS: number;
};

/**
 * What a tenant was given by a tier while it had a page and more waiting there, and what an even share of the tier would
 * have been. With less it is given what it has, when the job of somebody else is done.
 */
type Service = { given: number; share: number; waiting: number };

const newService = (): Service => ({ given: 0, share: 0, waiting: 0 });

/** Says which of each tenant's batches go first; it is asked every `everyS`. */
export type Decide = (live: readonly BatchProgress[], nowS: number) => ReadonlyMap<string, readonly number[]>;

/**
 * How batches are put in order: as before there was a rule, when all tenants' batches were enqueued by one virtual time;
 * by tags and a rule; or by ranks that somebody knows who knows all.
 */
export type Order =
  | { readonly kind: 'before' }
  | { readonly kind: 'rule'; readonly decide: Decide; readonly everyS: number }
  | { readonly kind: 'ranks'; readonly rankOf: (index: number) => number };

export type Run = {
  /** By batch. */
  readonly finishedAtS: readonly number[];
  /** By tenant. */
  readonly services: readonly Readonly<Record<TierName, Readonly<Service>>>[];
};

/** Runs a mix to its end. A tier is one server that takes one job after another. */
export function simulate(mix: Mix, order: Order): Run {
  return new Simulation(mix, order).run();
}

class Simulation {
  readonly #mix: Mix;
  readonly #order: Order;
  readonly #progress: readonly BatchProgress[];
  readonly #queues: Readonly<Record<TierName, SimulatedQueue>>;
  #precedence: ReadonlyMap<string, readonly number[]> = new Map();
  readonly #working: Record<TierName, { readonly job: SimulatedJob; readonly untilS: number } | null>;
  readonly #services: Readonly<Record<TierName, Map<string, Service>>>;
  readonly #tenants = new FairShare();
  readonly #batches = new Map<string, FairShare>();
  readonly #byDeadline: readonly BatchProgress[];
  #live: BatchProgress[] = [];
  #arrived = 0;
  /** How many deadlines have passed. */
  #passed = 0;
  #inFlight = 0;
  #nowS = 0;
  #dueS = 0;

  constructor(mix: Mix, order: Order) {
    this.#mix = mix;
    this.#order = order;
    this.#progress = mix.batches.map((batch, index) => ({
      index,
      batch,
      enqueued: 0,
      drafted: 0,
      escalated: 0,
      answered: 0,
      finishedAtS: Number.POSITIVE_INFINITY,
    }));
    this.#byDeadline = this.#progress.toSorted((left, right) => left.batch.deadlineS - right.batch.deadlineS);
    const queue = (): SimulatedQueue => (order.kind === 'ranks' ? new RankQueue() : new TagQueue());
    this.#queues = { drafter: queue(), expert: queue() };
    this.#working = { drafter: null, expert: null };
    const services = (): Map<string, Service> => new Map(mix.batches.map(({ tenant }) => [tenant, newService()]));
    this.#services = { drafter: services(), expert: services() };
  }

  run(): Run {
    while (this.#arrived < this.#progress.length || this.#live.length > 0) this.#step();
    const services = [...this.#services.drafter.keys()].map((tenant) => ({
      drafter: this.#services.drafter.get(tenant) ?? newService(),
      expert: this.#services.expert.get(tenant) ?? newService(),
    }));
    return { finishedAtS: this.#progress.map(({ finishedAtS }) => finishedAtS), services };
  }

  #step(): void {
    const { drafter, expert } = this.#working;
    const nextS = Math.min(
      this.#mix.batches[this.#arrived]?.arrivesAtS ?? Number.POSITIVE_INFINITY,
      this.#byDeadline[this.#passed]?.batch.deadlineS ?? Number.POSITIVE_INFINITY,
      drafter?.untilS ?? Number.POSITIVE_INFINITY,
      expert?.untilS ?? Number.POSITIVE_INFINITY,
    );
    this.#account(nextS - this.#nowS);
    this.#nowS = nextS;
    while ((this.#mix.batches[this.#arrived]?.arrivesAtS ?? Number.POSITIVE_INFINITY) <= nextS) this.#arrive();
    if (drafter !== null && drafter.untilS <= nextS) this.#drafted(drafter.job);
    if (expert !== null && expert.untilS <= nextS) this.#answered(expert.job);
    while ((this.#byDeadline[this.#passed]?.batch.deadlineS ?? Number.POSITIVE_INFINITY) <= nextS) this.#expire();
    this.#decide();
    this.#enqueue();
    for (const tier of TIERS) this.#take(tier);
  }

  /** Between two events every tenant that has work in a busy tier has an even share of it coming. */
  #account(seconds: number): void {
    for (const tier of TIERS) {
      if (this.#working[tier] === null) continue;
      const waiting = [...this.#services[tier].values()].filter((service) => service.waiting > 0);
      const share = (this.#mix.perSecond[tier] * seconds) / waiting.length;
      for (const service of waiting) if (service.waiting >= PAGE) service.share += share;
    }
  }

  #arrive(): void {
    const one = this.#of(this.#arrived);
    this.#arrived += 1;
    this.#live.push(one);
    this.#dueS = this.#nowS;
    this.#wait('drafter', one, one.batch.documents);
  }

  #of(index: number): BatchProgress {
    const one = this.#progress[index];
    if (one === undefined) throw new Error(`no batch ${index}`);
    return one;
  }

  #wait(tier: TierName, { batch }: BatchProgress, documents: number): void {
    const service = this.#services[tier].get(batch.tenant);
    if (service === undefined) return;
    if (documents < 0 && service.waiting >= PAGE) service.given -= documents;
    service.waiting += documents;
  }

  /** What is not done when its window ends is not done at all: workers drop it when they meet it. */
  #expire(): void {
    const one = this.#byDeadline[this.#passed];
    this.#passed += 1;
    if (one === undefined || !this.#live.includes(one)) return;
    this.#live = this.#live.filter((other) => other !== one);
    this.#inFlight -= one.enqueued - one.drafted + one.escalated - one.answered;
    this.#leave('drafter', one, one.batch.documents - one.drafted);
    this.#leave('expert', one, one.escalated - one.answered);
  }

  #leave(tier: TierName, { batch }: BatchProgress, documents: number): void {
    const service = this.#services[tier].get(batch.tenant);
    if (service !== undefined) service.waiting -= documents;
  }

  #drafted({ batch, documents }: SimulatedJob): void {
    this.#working.drafter = null;
    const one = this.#of(batch);
    if (!this.#live.includes(one)) return;
    one.drafted += documents;
    this.#wait('drafter', one, -documents);
    const escalated = Math.round(one.drafted * one.batch.escalated) - one.escalated;
    one.escalated += escalated;
    this.#inFlight -= documents - escalated;
    if (escalated > 0) {
      this.#wait('expert', one, escalated);
      this.#queues.expert.add(this.#flowOf(one), { batch, documents: escalated });
    }
    this.#end(one);
  }

  #answered({ batch, documents }: SimulatedJob): void {
    this.#working.expert = null;
    const one = this.#of(batch);
    if (!this.#live.includes(one)) return;
    one.answered += documents;
    this.#inFlight -= documents;
    this.#wait('expert', one, -documents);
    this.#end(one);
  }

  #end(one: BatchProgress): void {
    if (one.drafted < one.batch.documents || one.answered < one.escalated) return;
    one.finishedAtS = this.#nowS;
    this.#live = this.#live.filter((other) => other !== one);
  }

  #decide(): void {
    const order = this.#order;
    if (order.kind !== 'rule' || this.#nowS < this.#dueS) return;
    this.#dueS = this.#nowS + order.everyS;
    this.#precedence = order.decide(this.#live, this.#nowS);
    const isLive = (batch: number): boolean => this.#live.includes(this.#of(batch));
    for (const queue of Object.values(this.#queues)) {
      if (queue instanceof TagQueue) queue.deal(this.#precedence, isLive);
    }
  }

  /** What the dispatcher does: pages, by tenants, then by batches. */
  #enqueue(): void {
    let isFull = false;
    for (;;) {
      const ready = this.#live.filter(
        ({ enqueued, batch }) => enqueued < batch.documents && (!isFull || this.#isFirstOf(batch.tenant)),
      );
      const tenant = this.#tenants.next([...new Set(ready.map(({ batch }) => batch.tenant))]);
      const own = ready.filter(({ batch }) => batch.tenant === tenant);
      const next = this.#choose(own, this.#precedence.get(tenant ?? '') ?? []);
      if (next === null || tenant === null) return;
      const documents = Math.min(PAGE, next.batch.documents - next.enqueued);
      const isEarly = isFull;
      isFull = !this.#hasCapacity(documents);
      if (isFull && !this.#isFirstOf(tenant)) continue;
      if (isEarly) this.#tenants.spendEarly(tenant, documents);
      else this.#tenants.spend(tenant, documents);
      if (!(this.#precedence.get(tenant) ?? []).includes(next.index)) {
        this.#sharesOf(tenant).spend(next.batch.id, documents);
      }
      next.enqueued += documents;
      this.#inFlight += documents;
      for (let left = documents; left > 0; left -= JOB) {
        this.#queues.drafter.add(this.#flowOf(next), { batch: next.index, documents: Math.min(JOB, left) });
      }
    }
  }

  #choose(own: readonly BatchProgress[], precedence: readonly number[]): BatchProgress | null {
    for (const index of precedence) {
      const first = own.find((one) => one.index === index);
      if (first !== undefined) return first;
    }
    const id = this.#sharesOf(own[0]?.batch.tenant ?? '').next(own.map(({ batch }) => batch.id));
    return own.find(({ batch }) => batch.id === id) ?? null;
  }

  #sharesOf(tenant: string): FairShare {
    const name = this.#order.kind === 'before' ? '' : tenant;
    let share = this.#batches.get(name);
    if (share === undefined) this.#batches.set(name, (share = new FairShare()));
    return share;
  }

  /** An order that knows everything has no queues to bound. */
  #hasCapacity(documents: number): boolean {
    if (this.#order.kind === 'ranks') return true;
    return this.#queues.drafter.length + documents <= MAX_WAITING && this.#inFlight + documents <= MAX_IN_FLIGHT;
  }

  /** A tenant's first page is always enqueued. */
  #isFirstOf(tenant: string): boolean {
    return this.#live.every(
      ({ batch, enqueued, drafted, escalated, answered }) =>
        batch.tenant !== tenant || enqueued - drafted + escalated === answered,
    );
  }

  #flowOf({ index, batch }: BatchProgress): Flow {
    const rank = this.#order.kind === 'ranks' ? this.#order.rankOf(index) : 0;
    return { batch: index, tenant: batch.tenant, rank };
  }

  #take(tier: TierName): void {
    if (this.#working[tier] !== null) return;
    const job = this.#queues[tier].next((batch) => this.#live.includes(this.#of(batch)));
    if (job === null) return;
    this.#working[tier] = { job, untilS: this.#nowS + job.documents / this.#mix.perSecond[tier] };
  }
}
