import { askedWork, precedenceOf, workLeft, type DueBatch } from '@spillway/core';
import { dealTags, perSecondOf, readTier, redisNowMs, type Queues, type RedisStore } from '@spillway/redis';
import { mapConcurrent } from '@spillway/runtime';
import type { LiveBatch, LiveBatches } from './live-batches.ts';
import type { Outline, Outlines } from './outlines.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** A window is a minute and more, and what was taken in between stands at most so long behind what it should precede. */
export const DECIDES_EVERY_MS = 1_000;
/** Where none of a tenant's batches has precedence they stand as they came for so long. */
const DEALS_ALL_EVERY_MS = 10_000;
/** To decide and to deal takes this part of the time at most, also with a hundred thousand batches and a long queue. */
const DECIDING_SHARE = 0.05;
/** Outlines that are not known yet are read by so many, and so many at a time. */
const READ_PER_DECISION = 500;
const MAX_READS = 16;

export type PrecedenceOptions = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly live: LiveBatches;
  readonly outlines: Outlines;
  readonly failures: StepFailures;
};

/** A batch that has something left to do, and where. */
type Due = { readonly batch: LiveBatch; readonly outline: Outline };

/**
 * Which batches go before the others of their tenant, as their windows would not be kept otherwise: in the order in which
 * pages are enqueued, and in every queue. All of it follows from what is in work now, so that nothing is lost with Redis
 * or with this process.
 */
export class Precedence {
  readonly #options: PrecedenceOptions;
  #byTenant: ReadonlyMap<string, readonly string[]> = new Map();
  #dueMs = 0;
  /** When the tenants without precedence are dealt, too. */
  #allDueMs = 0;

  constructor(options: PrecedenceOptions) {
    this.#options = options;
  }

  /** A tenant's batches that have precedence, first one first. */
  of(tenant: string): readonly string[] {
    return this.#byTenant.get(tenant) ?? [];
  }

  /** Decides anew, and puts what waits in the queues into that order; false, as there is nothing more to do at once. */
  async decide(): Promise<false> {
    const beganMs = performance.now();
    if (beganMs < this.#dueMs) return false;
    await this.#options.live.refresh();
    const due = await this.#due();
    const tiers = [...new Set(due.flatMap(({ outline }) => outline.route.tiers))];
    this.#byTenant = await this.#decided(due, tiers);
    const hurried = this.#byTenant;
    if (hurried.size > 0) await this.#deal(tiers, (tenant) => hurried.has(tenant));
    const dealtMs = performance.now();
    this.#dueMs = dealtMs + restAfter(dealtMs - beganMs);
    if (dealtMs < this.#allDueMs) return false;
    await this.#deal(tiers, (tenant) => !hurried.has(tenant));
    const endedMs = performance.now();
    this.#allDueMs = endedMs + Math.max(DEALS_ALL_EVERY_MS, restAfter(endedMs - dealtMs));
    return false;
  }

  /** The open batches that have something left to do, as far as it is known yet where their documents go. */
  async #due(): Promise<Due[]> {
    const { live, outlines, failures } = this.#options;
    const open = live
      .all()
      .filter(({ phase, settled, total, paused }) => phase === 'open' && settled < total && !paused)
      .toArray();
    // Whoever has just come to lead knows none of those that are enqueued whole.
    const unknown = open.filter(({ id }) => outlines.known(id) === undefined).slice(0, READ_PER_DECISION);
    await mapConcurrent(unknown, MAX_READS, ({ id: batch }) =>
      runStep(failures, { batch, step: 'plan' }, () => outlines.of(batch)),
    );
    return open.flatMap((batch) => {
      const outline = outlines.known(batch.id);
      return outline === undefined ? [] : [{ batch, outline }];
    });
  }

  async #decided(due: readonly Due[], tiers: readonly string[]): Promise<Map<string, string[]>> {
    if (due.length === 0) return new Map();
    const { redis, queues } = this.#options;
    const [nowMs, ...readings] = await Promise.all([
      redisNowMs(redis),
      ...tiers.map(async (tier) => ({
        tier,
        documents: await queues.documents(tier),
        rate: perSecondOf(await readTier(redis, tier)),
      })),
    ]);
    const queued = new Map(readings.map(({ tier, documents }) => [tier, documents]));
    const perSecond = new Map(readings.flatMap(({ tier, rate }) => (rate === null ? [] : [[tier, rate] as const])));
    const all = due.map(({ batch, outline }): DueBatch => {
      const { id, tenant, expiresAtMs } = batch;
      const asked = askedWork(batch, outline.copies, (document) => outline.pages.of(document));
      const work = workLeft({ ...asked, escalated: batch.escalated }, outline.route, queued);
      return { id, tenant, deadlineMs: expiresAtMs, work };
    });
    return withWished(precedenceOf(all, perSecond, nowMs), due);
  }

  /** Deals the tags of some tenants in the tiers' queues, among all their batches that may have something there. */
  async #deal(tiers: readonly string[], isDealt: (tenant: string) => boolean): Promise<void> {
    const own = this.#options.live
      .all()
      .filter(({ phase, settled, enqueued, tenant }) => phase === 'open' && enqueued > settled && isDealt(tenant));
    const orders = [...Map.groupBy(own, ({ tenant }) => tenant)].map(([tenant, batches]) => {
      const ids = new Set(batches.map(({ id }) => id));
      const first = new Set(this.of(tenant).filter((id) => ids.has(id)));
      return { tenant, first: [...first], others: [...ids.difference(first)] };
    });
    if (orders.length === 0) return;
    for (const tier of tiers) await dealTags(this.#options.redis, tier, orders);
  }
}

/** How long something rests that took so long. */
const restAfter = (ms: number): number => ms * (1 / DECIDING_SHARE - 1);

/** What somebody wants to go first goes before what is due, oldest first. */
function withWished(byDeadline: ReadonlyMap<string, readonly string[]>, due: readonly Due[]): Map<string, string[]> {
  const wished = due
    .map(({ batch }) => batch)
    .filter(({ goesFirst }) => goesFirst)
    .toSorted((left, right) => left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1));
  const precedence = new Map([...byDeadline].map(([tenant, ids]) => [tenant, [...ids]]));
  for (const [tenant, batches] of Map.groupBy(wished, (batch) => batch.tenant)) {
    const first = batches.map(({ id }) => id);
    precedence.set(tenant, [...new Set([...first, ...(precedence.get(tenant) ?? [])])]);
  }
  return precedence;
}
