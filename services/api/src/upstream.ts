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
 * What the tiers before a tier have still to answer, as far as it will come over: for each of them the documents in its
 * queue, and those of its batches that are not enqueued yet if it is their first one, times the shares that escalate on
 * the way; and how fast they can come, by the slowest tier on the way whose rate is known. The queue of a tier that
 * several cascades share is counted once, by the cascade that escalates most of it.
 */
export function upstreamOf(
  tier: string,
  work: readonly OpenWork[],
  figures: ReadonlyMap<string, TierFigures>,
): Upstream[] {
  const ways = work.flatMap((batch) => waysTo(tier, batch));
  const shares = escalatedShares(ways, figures);
  const sources = new Map<string, Coming>();
  for (const way of ways) {
    for (const { source, ...coming } of comingOf(way, shares, figures)) {
      if (coming.share > (sources.get(source)?.share ?? -1)) sources.set(source, coming);
    }
  }
  const documents = new Map([...sources].map(([name, { share }]) => [name, (figures.get(name)?.queued ?? 0) * share]));
  for (const batch of work) {
    const firsts = waysTo(tier, batch).flatMap((way) => comingOf(way, shares, figures).slice(0, 1));
    const [most] = firsts.toSorted((left, right) => right.share - left.share);
    if (most === undefined) continue;
    documents.set(most.source, (documents.get(most.source) ?? 0) + batch.notEnqueued * most.share);
  }
  return [...sources].map(([name, { perSecond }]) => ({ documents: documents.get(name) ?? 0, perSecond }));
}

/** What share of a tier's documents comes to the tier in question, and at most how many per second. */
type Coming = { readonly share: number; readonly perSecond: number | null };

/** The tiers of a way, first to last. */
function comingOf(
  { tiers, end }: Way,
  shares: ReadonlyMap<string, number>,
  figures: ReadonlyMap<string, TierFigures>,
): (Coming & { readonly source: string })[] {
  const sources: (Coming & { readonly source: string })[] = [];
  let share = 1;
  let slowest: number | null = null;
  for (const [before, source] of tiers.slice(0, end).entries().toArray().toReversed()) {
    share *= shares.get(tiers[before + 1] ?? '') ?? 0;
    const own = figures.get(source)?.perSecond ?? null;
    if (own !== null) slowest = Math.min(slowest ?? Infinity, own * share);
    sources.unshift({ source, share, perSecond: slowest });
  }
  return sources;
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
