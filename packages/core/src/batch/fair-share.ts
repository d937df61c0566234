/**
 * Start-time fair queueing (Goyal, Vin, Cheng; SIGCOMM 1996) over named flows: the flow with the least start tag is
 * next, a tag grows by what was served, and a flow that was idle or held back starts at the present, without a burst.
 */
export class FairShare {
  #now = 0;
  #finish = new Map<string, number>();

  /** The start tag of what was served last. */
  get now(): number {
    return this.#now;
  }

  /** Where a flow's next piece begins. */
  startOf(flow: string): number {
    return Math.max(this.#now, this.#finish.get(flow) ?? 0);
  }

  /** Which of these flows is next; null when there is none. Ties go to the first. */
  next(ready: readonly string[]): string | null {
    let best: string | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const flow of ready) {
      const start = this.startOf(flow);
      if (start < least) [best, least] = [flow, start];
    }
    return best;
  }

  /** A piece of this cost was served to the flow. */
  spend(flow: string, cost: number): void {
    this.#now = this.startOf(flow);
    this.spendEarly(flow, cost);
  }

  /** The same before its turn: the flow pays for it, and those whose turn it was stay the next ones. */
  spendEarly(flow: string, cost: number): void {
    this.#finish.set(flow, this.startOf(flow) + cost);
  }

  /** Forgets a flow that is gone. */
  forget(flow: string): void {
    this.#finish.delete(flow);
  }
}

/**
 * A share for the flows of each tenant. One for all of them would not do: a tenant with a single flow moves its present on
 * by that alone, and of another one's flows all would begin there, the oldest first, for ever.
 */
export class TenantShares {
  readonly #shares = new Map<string, FairShare>();
  readonly #byFlow = new Map<string, FairShare>();

  of(tenant: string): FairShare {
    let share = this.#shares.get(tenant);
    if (share === undefined) this.#shares.set(tenant, (share = new FairShare()));
    return share;
  }

  /** A piece of this cost was served to a tenant's flow. */
  spend(tenant: string, flow: string, cost: number): void {
    const share = this.of(tenant);
    share.spend(flow, cost);
    this.#byFlow.set(flow, share);
  }

  /** Forgets a flow that is gone. */
  forget(flow: string): void {
    this.#byFlow.get(flow)?.forget(flow);
    this.#byFlow.delete(flow);
  }
}
