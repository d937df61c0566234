import { seededRandom } from '@spillway/core';

/** A batch of a mix; times are seconds from the beginning. */
export type MixBatch = {
  readonly id: string;
  readonly tenant: string;
  readonly documents: number;
  readonly arrivesAtS: number;
  readonly deadlineS: number;
  /** Of its documents the share that the drafter escalates. */
  readonly escalated: number;
};

/** What two tiers are given to do: the batches of some tenants, oldest first, and documents per second of each tier. */
export type Mix = {
  readonly batches: readonly MixBatch[];
  readonly perSecond: { readonly drafter: number; readonly expert: number };
};

const MIN_DOCUMENTS = 10;
const MAX_DOCUMENTS = 100_000;
const MIN_WINDOW_S = 600;
const MAX_WINDOW_S = 86_400;
const MAX_TENANTS = 4;
const MIN_BATCHES = 8;
const MAX_BATCHES = 40;
/** Batches arrive within this time; with probability `TOGETHER` at the same moment as the one before. */
const MIN_SPAN_S = 3_600;
const MAX_SPAN_S = 43_200;
const TOGETHER = 0.25;
const MIN_ESCALATED = 0.05;
const MAX_ESCALATED = 0.6;
/** What a tier is given within the span as a share of what it can do in that time: from idle for the most part to overrun. */
const MIN_LOAD = 0.5;
const MAX_LOAD = 2;

/**
 * A mix of batches, by its number. Fixed before the rule that it judges: the figures of two versions can be compared as
 * long as nothing changes here. Sizes and windows are drawn evenly from their logarithms, so that a batch of ten thousand
 * is as likely as one of a hundred, and a window of ten minutes as one of a day.
 */
export function mixOf(seed: number): Mix {
  const random = seededRandom(seed);
  const between = (least: number, most: number): number => least + (most - least) * random();
  const evenly = (least: number, most: number): number => least * (most / least) ** random();
  const tenants = 1 + Math.floor(random() * MAX_TENANTS);
  const count = Math.round(between(MIN_BATCHES, MAX_BATCHES));
  const spanS = evenly(MIN_SPAN_S, MAX_SPAN_S);
  const arrivals = Array.from({ length: count }, () => between(0, spanS)).toSorted((left, right) => left - right);
  let lastS = 0;
  const batches = arrivals.map((drawnS, index): MixBatch => {
    const arrivesAtS = index > 0 && random() < TOGETHER ? lastS : drawnS;
    lastS = arrivesAtS;
    return {
      id: `b${index}`,
      tenant: `t${Math.floor(random() * tenants)}`,
      documents: Math.round(evenly(MIN_DOCUMENTS, MAX_DOCUMENTS)),
      arrivesAtS,
      deadlineS: arrivesAtS + evenly(MIN_WINDOW_S, MAX_WINDOW_S),
      escalated: between(MIN_ESCALATED, MAX_ESCALATED),
    };
  });
  const documents = batches.reduce((sum, batch) => sum + batch.documents, 0);
  const escalations = batches.reduce((sum, batch) => sum + batch.documents * batch.escalated, 0);
  const perSecond = {
    drafter: documents / (spanS * between(MIN_LOAD, MAX_LOAD)),
    expert: escalations / (spanS * between(MIN_LOAD, MAX_LOAD)),
  };
  return { batches, perSecond };
}
