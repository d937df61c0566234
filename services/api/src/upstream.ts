import type { Upstream } from '@spillway/core';

/** Until enough documents have been judged, this share of them is taken to escalate, as so many documents would say. */
const SHARE_UNMEASURED = 0.3;
const SHARE_WEIGHT = 20;

/** A tier as it is now. */
export type TierFigures = {
  /** Documents in its queue: waiting, due later and worked on. */
  readonly queued: number;
  /** Documents that its workers answer per second; null: not known, or nobody works there. */
  readonly perSecond: number | null;
};

/** A cascade of an open batch: the tiers of its stages, and what each stage has done with the settled documents. */
export type CascadeWork = {
  readonly tiers: readonly string[];
  readonly settled: readonly { readonly accepted: number; readonly escalated: number }[];
};

/** An open batch, with the cascades that its documents name. */
export type OpenWork = { readonly notEnqueued: number; readonly cascades: readonly CascadeWork[] };

/** A cascade in which the tier in question comes after others; those before it are its first `end` tiers. */
type Way = CascadeWork & { readonly end: number };

const waysTo = (tier: string, { cascades }: OpenWork): Way[] =>
  cascades.flatMap((cascade) => {
    const end = cascade.tiers.indexOf(tier);
    return end > 0 ? [{ ...cascade, end }] : [];
  });

/**
 * The tiers whose figures say what will come to a tier, in the groups in which they are to be read: a document passes an
 * earlier group before a later one. None where the tier is a first stage everywhere.
 */
export function tierOrder(tier: string, work: readonly OpenWork[]): string[][] {
  const places = new Map<string, number>();
  for (const { tiers } of work.flatMap((batch) => waysTo(tier, batch))) {
    for (const [place, name] of tiers.entries()) places.set(name, Math.max(place, places.get(name) ?? 0));
  }
  const groups = Map.groupBy(places.keys(), (name) => places.get(name) ?? 0);
  return [...groups].toSorted(([left], [right]) => left - right).map(([, names]) => names);
}

/**
 * The tiers before a tier, each with the documents in its queue, and those of its batches that are not enqueued yet if it
 * is their first one, times the shares that escalate on the way, and with its rate if that is known. A tier that several
 * cascades share stands there once, before the tier by which most of its documents come.
 */
export function upstreamOf(
  tier: string,
  work: readonly OpenWork[],
  figures: ReadonlyMap<string, TierFigures>,
): Upstream[] {
  const ways = work.flatMap((batch) => waysTo(tier, batch));
  const passages = passagesOf(tier, ways, escalatedShares(ways, figures));
  const shareOf = (name: string): number => passages.get(name)?.share ?? 0;
  const documents = new Map([...passages.keys()].map((name) => [name, figures.get(name)?.queued ?? 0]));
  for (const batch of work) {
    const firsts = waysTo(tier, batch).flatMap(({ tiers }) => tiers.slice(0, 1));
    const [most] = firsts.toSorted((left, right) => shareOf(right) - shareOf(left));
    if (most !== undefined) documents.set(most, (documents.get(most) ?? 0) + batch.notEnqueued);
  }
  const before = (next: string): Upstream[] =>
    [...passages].flatMap(([name, passage]): Upstream[] => {
      if (passage.next !== next) return [];
      const perSecond = figures.get(name)?.perSecond ?? null;
      return [
        {
          documents: (documents.get(name) ?? 0) * passage.share,
          perSecond: perSecond === null ? null : perSecond * passage.share,
          upstream: before(name),
        },
      ];
    });
  return before(tier);
}

/** By which tier most of a tier's documents come to the tier in question, and what share of them. */
type Passage = { readonly next: string; readonly share: number };

/** Every share is below 1, so what comes of a tier is less the further away it is: no passage leads in a circle. */
function passagesOf(tier: string, ways: readonly Way[], shares: ReadonlyMap<string, number>): Map<string, Passage> {
  const passages = new Map<string, Passage>();
  for (let isChanged = true; isChanged;) {
    isChanged = false;
    for (const { tiers, end } of ways) {
      for (const [at, name] of tiers.slice(0, end).entries()) {
        const next = tiers[at + 1] ?? tier;
        const share = (shares.get(next) ?? 0) * (next === tier ? 1 : (passages.get(next)?.share ?? 0));
        if (share <= (passages.get(name)?.share ?? 0)) continue;
        passages.set(name, { next, share });
        isChanged = true;
      }
    }
  }
  return passages;
}

/**
 * The share of documents that stages hand off to a tier, for each tier on the ways. Escalated documents are those that
 * are settled and those that are in the queues from that tier on: while nobody works there only the latter grow. The
 * stages before one tier are taken together, as its queue does not say which of them a document comes from.
 */
function escalatedShares(ways: readonly Way[], figures: ReadonlyMap<string, TierFigures>): ReadonlyMap<string, number> {
  const sums = new Map<string, { accepted: number; escalated: number; later: Set<string> }>();
  for (const { tiers, settled, end } of ways) {
    for (const [stage, next] of tiers.slice(1, end + 1).entries()) {
      const sum = sums.get(next) ?? { accepted: 0, escalated: 0, later: new Set<string>() };
      sums.set(next, sum);
      sum.accepted += settled[stage]?.accepted ?? 0;
      sum.escalated += settled[stage]?.escalated ?? 0;
      for (const name of tiers.slice(stage + 1)) sum.later.add(name);
    }
  }
  return new Map(
    [...sums].map(([next, { accepted, escalated, later }]) => {
      const waiting = [...later].reduce((all, name) => all + (figures.get(name)?.queued ?? 0), 0);
      const handedOff = escalated + waiting;
      return [next, (handedOff + SHARE_UNMEASURED * SHARE_WEIGHT) / (accepted + handedOff + SHARE_WEIGHT)] as const;
    }),
  );
}
