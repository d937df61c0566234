import type { Draft, Result, UnaskedResult, Usage } from '@spillway/core';
import type { BatchPlan } from '@spillway/storage';
import type { PageDocument } from './input.ts';

/** Some documents of a page; `places` are their indices in it. */
export type SomeDocuments = {
  readonly plan: BatchPlan;
  readonly page: number;
  readonly documents: readonly PageDocument[];
  readonly places: readonly number[];
};

/** What is known of documents before anybody is asked about them, by place. */
export type Known = {
  /** Those that have their answer. */
  readonly results: ReadonlyMap<number, Result | UnaskedResult>;
  /** Those that were drafted, and go on to a later stage. */
  readonly drafts: ReadonlyMap<number, readonly Draft[]>;
  /** Those that only the last stage may answer: drafted otherwise, they would not be what was counted of them. */
  readonly lastStage: ReadonlySet<number>;
  /**
   * What each stage, from 0, took of documents that are asked anew, and that nobody counted: it counts with what it takes
   * now, at a stage that is passed by and at the one that is asked.
   */
  readonly spent: ReadonlyMap<number, readonly Usage[]>;
};

export const NOTHING_KNOWN: Known = {
  results: new Map(),
  drafts: new Map(),
  lastStage: new Set(),
  spent: new Map(),
};

/**
 * Who knows something of documents from what stands in storage: from the sample of their batch, or from the batch that
 * theirs was decided anew from. It says the same whenever it is asked: what it knows is written down nowhere else, and is
 * found again after a loss.
 */
export type KnownResults = { of(some: SomeDocuments): Promise<Known> };

/** Several of them; of a document the first one's word counts. */
export function knownBy(...sources: readonly KnownResults[]): KnownResults {
  return {
    of: async (some) => {
      const results = new Map<number, Result | UnaskedResult>();
      const drafts = new Map<number, readonly Draft[]>();
      const lastStage = new Set<number>();
      const spent = new Map<number, readonly Usage[]>();
      for (const source of sources) {
        const isKnown = (place: number): boolean => results.has(place) || drafts.has(place) || lastStage.has(place);
        const places = some.places.filter((place) => !isKnown(place));
        const known = await source.of({ ...some, places });
        for (const [place, result] of known.results) results.set(place, result);
        for (const [place, own] of known.drafts) drafts.set(place, own);
        for (const place of known.lastStage) lastStage.add(place);
        for (const [place, own] of known.spent) spent.set(place, own);
      }
      return { results, drafts, lastStage, spent };
    },
  };
}
