import { Heap } from './heap.ts';

/** How far a batch is: `escalated` are those of the settled documents whose first draft was not final. */
export type BatchWork = {
  readonly total: number;
  readonly enqueued: number;
  readonly settled: number;
  readonly escalated: number;
};

/** Until enough documents are settled, this share of them is taken to escalate, as so many documents would say. */
const SHARE_UNMEASURED = 0.3;
const SHARE_WEIGHT = 20;

/**
 * What each tier of a batch's route has still to do for it. Where its enqueued documents are is not counted anywhere:
 * they are taken to be where all documents are that wait for these tiers. `queued`: how many do, by tier.
 */
export function workLeft(
  { total, enqueued, settled, escalated }: BatchWork,
  { tiers, firstTiers }: { readonly tiers: readonly string[]; readonly firstTiers: readonly string[] },
  queued: ReadonlyMap<string, number>,
): Map<string, number> {
  const share = (escalated + SHARE_UNMEASURED * SHARE_WEIGHT) / (settled + SHARE_WEIGHT);
  const inFlight = Math.max(0, enqueued - settled);
  const all = tiers.reduce((sum, tier) => sum + (queued.get(tier) ?? 0), 0);
  const work = new Map<string, number>();
  /** What the tiers before will hand off. */
  let coming = 0;
  for (const tier of [...firstTiers, ...tiers.filter((name) => !firstTiers.includes(name))]) {
    const isFirst = firstTiers.includes(tier);
    const evenly = isFirst ? 1 / firstTiers.length : 0;
    const waiting = inFlight * (all > 0 ? (queued.get(tier) ?? 0) / all : evenly);
    const left = waiting + (total - enqueued) * evenly + (isFirst ? 0 : coming);
    work.set(tier, left);
    coming = isFirst ? coming + left * share : left * share;
  }
  return work;
}

/** What of an open batch says whether its window is in danger. */
export type DueBatch = {
  readonly id: string;
  readonly tenant: string;
  readonly deadlineMs: number;
  /** Documents that each tier has still to answer, those that are expected to be escalated to it among them. */
  readonly work: ReadonlyMap<string, number>;
};

/** A batch is done by so much of what is left of its window, or it is in danger: nobody knows what else will come. */
const SAFE_SHARE = 0.75;
/** What is left to do is estimated: a batch that would miss by so little may keep its window all the same. */
const KEEPABLE_SHARE = 1.02;
/** What has precedence may bring others in danger. Those that are not found in so many rounds are found next time. */
const MAX_ROUNDS = 8;

/**
 * Which batches go before the others of their tenant, first one first: those that would miss their window by their fair
 * share of what the tenant has, and keep it with all of that. Tenants share evenly whatever is decided here. A tier whose
 * rate nobody knows says nothing.
 *
 * Where several share a rate evenly, one is done with `x` documents when each has been given `x`, or all that it has. So
 * both questions are answered from what is left to do, without playing it through.
 */
export function precedenceOf(
  batches: readonly DueBatch[],
  perSecond: ReadonlyMap<string, number>,
  nowMs: number,
): Map<string, string[]> {
  const byTenant = Map.groupBy(batches, ({ tenant }) => tenant);
  const tiers = [...perSecond].flatMap(([name, rate]) => {
    if (rate <= 0) return [];
    const works = byTenant.values().map((own) => own.reduce((sum, { work }) => sum + (work.get(name) ?? 0), 0));
    return [{ name, perSecond: rate, tenants: new EvenShare([...works]) }];
  });
  const precedence = new Map<string, string[]>();
  for (const [tenant, own] of byTenant) {
    const first = firstOf(own.toSorted(byDeadline), tiers, nowMs).map(({ id }) => id);
    if (first.length > 0) precedence.set(tenant, first);
  }
  return precedence;
}

const byDeadline = (left: DueBatch, right: DueBatch): number =>
  left.deadlineMs - right.deadlineMs || (left.id < right.id ? -1 : 1);

/** Several that share evenly, each with what it has to do. */
class EvenShare {
  readonly #amounts: Float64Array;
  /** Sums of the amounts before each. */
  readonly #sums: Float64Array;

  constructor(amounts: readonly number[]) {
    this.#amounts = Float64Array.from(amounts).sort();
    this.#sums = new Float64Array(amounts.length + 1);
    for (const [at, amount] of this.#amounts.entries()) this.#sums[at + 1] = (this.#sums[at] ?? 0) + amount;
  }

  /** What all are given until one of them has been given so much. */
  until(most: number): number {
    let [low, high] = [0, this.#amounts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#amounts[middle] ?? 0) < most) low = middle + 1;
      else high = middle;
    }
    return (this.#sums[low] ?? 0) + (this.#amounts.length - low) * most;
  }
}

/** A tier, with what each tenant has to do there. */
type TierRate = { readonly name: string; readonly perSecond: number; readonly tenants: EvenShare };

/** Until a tenant has been given so many documents in a tier. */
const msFor = ({ tenants, perSecond }: TierRate, documents: number): number =>
  (1_000 * tenants.until(documents)) / perSecond;

/** Of a tenant's batches, the earliest deadline first, those that go before its others. */
function firstOf(own: readonly DueBatch[], tiers: readonly TierRate[], nowMs: number): DueBatch[] {
  let first: ReadonlySet<DueBatch> = new Set();
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const isInDanger = dangerOf(own, first, { tiers, nowMs });
    const wanted = own.filter((batch) => first.has(batch) || isInDanger(batch));
    const kept = keepable(wanted, tiers, nowMs);
    if (kept.size <= first.size) break;
    first = kept;
  }
  return own.filter((batch) => first.has(batch));
}

/** Whether a batch would miss its window if it had its fair share of what those with precedence leave. */
function dangerOf(
  own: readonly DueBatch[],
  first: ReadonlySet<DueBatch>,
  { tiers, nowMs }: { readonly tiers: readonly TierRate[]; readonly nowMs: number },
): (batch: DueBatch) => boolean {
  const loads = tiers.map((tier) => {
    const workOf = ({ work }: DueBatch): number => work.get(tier.name) ?? 0;
    const before = own.reduce((sum, batch) => (first.has(batch) ? sum + workOf(batch) : sum), 0);
    const others = new EvenShare(own.filter((batch) => !first.has(batch)).map(workOf));
    return { tier, before, others };
  });
  return ({ work, deadlineMs }) =>
    loads.some(({ tier, before, others }) => {
      const left = work.get(tier.name) ?? 0;
      return left > 0 && msFor(tier, before + others.until(left)) > (deadlineMs - nowMs) * SAFE_SHARE;
    });
}

/**
 * Of batches in the order of their deadlines, those that keep their windows with all that the tenant has. Where one would
 * not because of a tier, the one with most to do there up to it is given up (Moore and Hodgson's rule, tier by tier), so
 * that most are kept.
 */
function keepable(wanted: readonly DueBatch[], tiers: readonly TierRate[], nowMs: number): Set<DueBatch> {
  const kept = new Set<DueBatch>();
  const loads = tiers.map((tier) => {
    const workOf = ({ work }: DueBatch): number => work.get(tier.name) ?? 0;
    return { tier, workOf, sum: 0, largest: new Heap<DueBatch>((left, right) => workOf(left) > workOf(right)) };
  });
  for (const batch of wanted) {
    kept.add(batch);
    for (const load of loads) {
      load.sum += load.workOf(batch);
      load.largest.push(batch);
    }
    const leftMs = (batch.deadlineMs - nowMs) * KEEPABLE_SHARE;
    const late = (): (typeof loads)[number] | undefined =>
      kept.has(batch)
        ? loads.find(({ tier, workOf, sum }) => workOf(batch) > 0 && msFor(tier, sum) > leftMs)
        : undefined;
    for (let load = late(); load !== undefined; load = late()) {
      const most = load.largest.pop();
      if (most === undefined) break;
      // Another tier may have given it up before.
      if (kept.delete(most)) for (const each of loads) each.sum -= each.workOf(most);
    }
  }
  return kept;
}
