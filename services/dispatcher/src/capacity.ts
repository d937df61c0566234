import { hasEnqueueMemory, LIMITS, pageCost, readTierName } from '@spillway/core';
import { memoryUse, pagesInFlight, type Queues, type RedisStore } from '@spillway/redis';
import type { BatchPlan, Records } from '@spillway/storage';
import { runStep, type StepFailures } from './step-failures.ts';

/** What one tier has of the documents that are enqueued. */
type TierUse = {
  /** Bytes of enqueued, unsealed pages, results included. */
  inFlightBytes: number;
  documents: number;
  /** Estimated bytes of the documents that wait in this tier's queue; 0 for an expert, which it does not bound. */
  waitingBytes: number;
};

/** What a measurement reads. */
type Measured = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly records: Records;
  readonly failures: StepFailures;
};

/**
 * How much may still be enqueued, per tier and per way, so that a tier that stands still never stops another. All of it is derived
 * from what is in Redis now; what is enqueued afterwards is added by `take`.
 */
export class Capacity {
  readonly #tiers = new Map<string, TierUse>();
  /** Bytes of enqueued, unsealed pages by the way that their documents go. */
  readonly #ways = new Map<string, number>();
  /** Those that have pages in flight. */
  readonly #tenants = new Set<string>();
  /** Redis has no memory for more. */
  readonly #isMemoryFull: boolean;

  private constructor(isMemoryFull: boolean) {
    this.#isMemoryFull = isMemoryFull;
  }

  static async measure({ redis, queues, records, failures }: Measured): Promise<Capacity> {
    const inFlight = await pagesInFlight(redis);
    const inFlightBytes = inFlight.reduce((sum, { bytes }) => sum + bytes, 0);
    const capacity = new Capacity(!hasEnqueueMemory(await memoryUse(redis), inFlightBytes));
    for (const { batch, page, bytes } of inFlight) {
      const plan = await runStep(failures, { batch, step: 'plan' }, () => records.plan(batch));
      if (plan !== null) {
        capacity.#tenants.add(plan.manifest.tenant);
        capacity.#takeWay(plan, bytes);
      }
      const documents = plan?.pages[page]?.documents ?? 0;
      for (const tier of plan?.tiers ?? []) {
        const use = capacity.#use(tier);
        use.inFlightBytes += bytes;
        use.documents += documents;
      }
    }
    for (const [tier, use] of capacity.#tiers) {
      if (readTierName(tier).role !== 'drafter') continue;
      use.waitingBytes = (await queues.waiting(tier)) * (use.inFlightBytes / Math.max(1, use.documents));
    }
    return capacity;
  }

  /**
   * The tiers that have no capacity for this page. Tiers of first stages bound what waits for them; those of later
   * stages, to which enqueueing does not add directly, together bound what of their way is not in storage yet, so that
   * a tier that is down fills no way but those through it. One page is admitted wherever nothing is in flight, so that
   * nothing waits for ever; and so is the first page of a tenant, so that nobody waits for a tier that others have
   * filled and cannot empty.
   */
  lacking(plan: BatchPlan, page: number): string[] {
    const next = plan.pages[page];
    if (next === undefined) return [...plan.tiers];
    if (this.isFirstOf(plan)) return [];
    const cost = pageCost(next);
    const onWay = this.#ways.get(plan.way) ?? 0;
    const isWayFull = onWay > 0 && onWay + cost > LIMITS.inFlightBytesPerWay;
    return plan.tiers.filter((tier) => {
      const use = this.#use(tier);
      if (use.inFlightBytes === 0) return false;
      if (this.#isMemoryFull) return true;
      // A page may be one line of twice the bound: it waits until nothing else does, not until nothing is in flight.
      const isFirstFull = use.waitingBytes > 0 && use.waitingBytes + cost > LIMITS.waitingBytesPerTier;
      if (isFirstFull && plan.firstTiers.includes(tier)) return true;
      return isWayFull && plan.laterTiers.includes(tier);
    });
  }

  /** Whether this would be the first page that a batch's tenant has in flight, and there is memory for it. */
  isFirstOf(plan: BatchPlan): boolean {
    return !this.#isMemoryFull && !this.#tenants.has(plan.manifest.tenant);
  }

  /** A page was enqueued. Its documents are all counted as waiting in their first stages. */
  take(plan: BatchPlan, page: number): void {
    this.#tenants.add(plan.manifest.tenant);
    const next = plan.pages[page];
    if (next === undefined) return;
    this.#takeWay(plan, pageCost(next));
    for (const tier of plan.tiers) this.#use(tier).inFlightBytes += pageCost(next);
    for (const tier of plan.firstTiers) this.#use(tier).waitingBytes += pageCost(next);
  }

  #takeWay({ way }: BatchPlan, bytes: number): void {
    this.#ways.set(way, (this.#ways.get(way) ?? 0) + bytes);
  }

  #use(tier: string): TierUse {
    let use = this.#tiers.get(tier);
    if (use === undefined) {
      use = { inFlightBytes: 0, documents: 0, waitingBytes: 0 };
      this.#tiers.set(tier, use);
    }
    return use;
  }
}
