import { hasFeedingMemory, LIMITS, tierQueue } from '@spillway/core';
import { memoryUse, pagesInHand } from '@spillway/redis';
import { apart, pageCost, type BatchPlan, type Desk } from './desk.ts';

type TierUse = {
  /** Bytes of begun, unsealed pages, results included. */
  inHand: number;
  documents: number;
  /** Estimated bytes of the documents that wait for this tier's drafter. */
  waiting: number;
};

/**
 * The room for feeding, per tier, so that one tier's trouble never stops another. All of it is read from what is in
 * Redis now, nothing is counted along; what is fed in this turn is added by `take`.
 */
export class Room {
  readonly #tiers = new Map<string, TierUse>();
  /** Those that have pages in hand. */
  readonly #tenants = new Set<string>();
  readonly #closed: boolean;

  private constructor(closed: boolean) {
    this.#closed = closed;
  }

  static async measure(desk: Desk): Promise<Room> {
    const held = await pagesInHand(desk.board);
    const heldBytes = held.reduce((sum, { bytes }) => sum + bytes, 0);
    const room = new Room(!hasFeedingMemory(await memoryUse(desk.board), heldBytes));
    for (const { batch, page, bytes } of held) {
      const plan = await apart(desk, batch, 'plan', () => desk.records.plan(batch));
      if (plan !== null) room.#tenants.add(plan.manifest.tenant);
      const documents = plan?.pages[page]?.documents ?? 0;
      for (const tier of plan?.tiers ?? []) {
        const use = room.#use(tier);
        use.inHand += bytes;
        use.documents += documents;
      }
    }
    for (const [tier, use] of room.#tiers) {
      if (!tier.startsWith('draft.')) continue;
      use.waiting = (await desk.queues.waiting(tier)) * (use.inHand / Math.max(1, use.documents));
    }
    return room;
  }

  /**
   * The tiers that have no room for this page: drafters bound what waits for them, experts what is not in storage yet.
   * One page always may begin where nothing is in hand, so that nothing waits for ever; and so may the first page of a
   * tenant, so that nobody waits for a tier that others have filled and cannot empty.
   */
  lacking(plan: BatchPlan, page: number): string[] {
    const next = plan.pages[page];
    if (next === undefined) return [...plan.tiers];
    if (this.isFirstOf(plan)) return [];
    const cost = pageCost(next);
    return plan.tiers.filter((tier) => {
      const use = this.#use(tier);
      if (use.inHand === 0) return false;
      if (this.#closed) return true;
      return tier.startsWith('draft.')
        ? use.waiting + cost > LIMITS.waitingBytesPerTier
        : use.inHand + cost > LIMITS.inHandBytesPerTier;
    });
  }

  /** Whether this would be the first page that a batch's tenant has in hand, and there is memory for it. */
  isFirstOf(plan: BatchPlan): boolean {
    return !this.#closed && !this.#tenants.has(plan.manifest.tenant);
  }

  /** A page was fed. */
  take(plan: BatchPlan, page: number): void {
    this.#tenants.add(plan.manifest.tenant);
    const next = plan.pages[page];
    if (next === undefined) return;
    for (const tier of plan.tiers) {
      const use = this.#use(tier);
      use.inHand += pageCost(next);
      use.waiting += pageCost(next);
    }
  }

  #use(tier: string): TierUse {
    let use = this.#tiers.get(tier);
    if (use === undefined) {
      use = { inHand: 0, documents: 0, waiting: 0 };
      this.#tiers.set(tier, use);
    }
    return use;
  }
}

/** The draft queue of each cascade of a plan. */
export const draftQueue = (plan: BatchPlan, cascade: string): string => {
  const rules = plan.cascades[cascade];
  if (rules === undefined) throw new Error(`The cascade ${cascade} is not in the manifest of ${plan.manifest.id}`);
  return tierQueue('draft', rules.drafter);
};
