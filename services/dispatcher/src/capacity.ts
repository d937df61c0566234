import { hasEnqueueMemory, LIMITS, readTierName } from '@spillway/core';
import { memoryUse, pagesInFlight, type Queues, type RedisStore } from '@spillway/redis';
import { mapConcurrent } from '@spillway/runtime';
import type { LiveBatches } from './live-batches.ts';
import type { Outline, Outlines, PageOutline, Route } from './outlines.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** What one tier has of the documents that are enqueued. */
type TierUse = {
  /** Bytes of enqueued, unsealed pages, results included. */
  inFlightBytes: number;
  documents: number;
  /** Estimated bytes of the documents that wait in this tier's queue; 0 for an expert, which it does not bound. */
  waitingBytes: number;
};

/** Outlines that are not known yet are read by this many at a time. */
const MAX_READS = 16;

/** What a measurement reads. */
type Measured = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly outlines: Outlines;
  readonly failures: StepFailures;
  readonly live: Pick<LiveBatches, 'get'>;
};

/**
 * How much may still be enqueued, per tier and per way, so that a tier that stands still never stops another. All of it is derived
 * from what is in Redis now; what is enqueued afterwards is added by `take`.
 */
export class Capacity {
  readonly #tiers = new Map<string, TierUse>();
  /** Bytes of enqueued, unsealed pages by the way that their documents go. */
  readonly #ways = new Map<string, number>();
  /** Bytes of pages of paused batches that are not counted, by way. */
  readonly #paused = new Map<string, number>();
  /** Those that have pages in flight. */
  readonly #tenants = new Set<string>();
  /** Redis has no memory for more. */
  readonly isMemoryFull: boolean;

  private constructor(isMemoryFull: boolean) {
    this.isMemoryFull = isMemoryFull;
  }

  static async measure({ redis, queues, outlines, failures, live }: Measured): Promise<Capacity> {
    const inFlight = await pagesInFlight(redis);
    const inFlightBytes = inFlight.reduce((sum, { bytes }) => sum + bytes, 0);
    const capacity = new Capacity(!hasEnqueueMemory(await memoryUse(redis), inFlightBytes));
    const isPaused = (batch: string): boolean => live.get(batch)?.paused === true;
    const unknown = inFlight.filter(({ batch, page, bytes }) => {
      const outline = outlines.known(batch);
      if (outline !== undefined && !capacity.#leavesOut(outline, bytes, isPaused(batch))) {
        capacity.#count(outline, outline.pages.at(page), bytes);
      }
      return outline === undefined;
    });
    await mapConcurrent(unknown, MAX_READS, async ({ batch, page, bytes }) => {
      const outline = await runStep(failures, { batch, step: 'plan' }, () => outlines.of(batch));
      if (outline === null || capacity.#leavesOut(outline, bytes, isPaused(batch))) return;
      capacity.#count(outline, outline.pages.at(page), bytes);
    });
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
  lacking({ tenant, route }: Outline, next: PageOutline): string[] {
    if (this.isFirstOf(tenant)) return [];
    const cost = next.costBytes;
    const onWay = this.#ways.get(route.way) ?? 0;
    const isWayFull = onWay > 0 && onWay + cost > LIMITS.inFlightBytesPerWay;
    return route.tiers.filter((tier) => {
      const use = this.#use(tier);
      if (use.inFlightBytes === 0) return false;
      if (this.isMemoryFull) return true;
      // A page may be one line of twice the bound: it waits until nothing else does, not until nothing is in flight.
      const isFirstFull = use.waitingBytes > 0 && use.waitingBytes + cost > LIMITS.waitingBytesPerTier;
      if (isFirstFull && route.firstTiers.includes(tier)) return true;
      return isWayFull && route.laterTiers.includes(tier);
    });
  }

  /** Whether a page would be the first one that a tenant has in flight, and there is memory for it. */
  isFirstOf(tenant: string): boolean {
    return !this.isMemoryFull && !this.#tenants.has(tenant);
  }

  /** A page was enqueued. Its documents are all counted as waiting in their first stages. */
  take({ tenant, route }: Outline, { costBytes }: PageOutline): void {
    this.#tenants.add(tenant);
    this.#takeWay(route, costBytes);
    for (const tier of route.tiers) this.#use(tier).inFlightBytes += costBytes;
    for (const tier of route.firstTiers) this.#use(tier).waitingBytes += costBytes;
  }

  /**
   * Whether a page is not counted. What a paused batch has in flight stands still, and is not to keep others from being
   * enqueued. It stays in Redis all the same: so of each way as much is left out as may be in flight of it, Redis holds
   * twice as much at most, and what is paused beyond that counts.
   */
  #leavesOut({ route }: Outline, bytes: number, isPaused: boolean): boolean {
    const leftOut = (this.#paused.get(route.way) ?? 0) + bytes;
    if (!isPaused || leftOut > LIMITS.inFlightBytesPerWay) return false;
    this.#paused.set(route.way, leftOut);
    return true;
  }

  /** Counts a page that is in flight. */
  #count({ tenant, route }: Outline, page: PageOutline | undefined, bytes: number): void {
    this.#tenants.add(tenant);
    this.#takeWay(route, bytes);
    for (const tier of route.tiers) {
      const use = this.#use(tier);
      use.inFlightBytes += bytes;
      use.documents += page?.documents ?? 0;
    }
  }

  #takeWay({ way }: Route, bytes: number): void {
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
