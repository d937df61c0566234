import { spentNanoUsd } from '../accounting/cap.ts';
import { stageCounts, type Counts } from '../accounting/counts.ts';
import { isLastStage, type CascadeRules } from '../cascade/rules.ts';
import type { ProgressNote } from './notes.ts';
import { reachOf, Z, type Expected } from './time-left.ts';

type Cascades = Readonly<Record<string, CascadeRules>>;

/** What one document costs beside another, and what those to come cost beside those that were, as standard deviations. */
export const DOCUMENT_SPREAD = 1;
const DRIFT = 0.1;

/** Whether any model of these cascades has a price. */
const isPriced = (cascades: Cascades): boolean =>
  Object.values(cascades).some(({ stages }) => stages.some(({ price }) => price !== null));

/** What a batch has cost so far with its audits (`audited`), in 10⁻⁹ US dollars; null: none of its models has a price. */
export const spentSoFar = (counts: Counts, cascades: Cascades, audited: number): number | null =>
  isPriced(cascades) ? spentNanoUsd(counts) + audited : null;

/**
 * What the settled documents would have cost if the last stages of their cascades had answered all of them, in 10⁻⁹ US
 * dollars; null: one of those stages has no price, or nothing is known of any document yet.
 */
export function byExpertsSoFar(counts: Counts, cascades: Cascades): number | null {
  // Until a batch is validated nobody knows which of them its documents name.
  const named = Object.entries(cascades).filter(([name]) => {
    const { accepted, escalated, skipped, answered, failed } = stageCounts(counts, name, 0);
    return accepted + escalated + skipped + answered + failed > 0;
  });
  const arePriced = named.every(([, { stages }]) => (stages.at(-1)?.price ?? null) !== null);
  return named.length > 0 && arePriced ? counts.allExpertNanoUsd : null;
}

/** The documents that a stage has answered, of all cascades together, and what they cost. */
function answeredIn(counts: Counts, cascades: Cascades, stage: number): { documents: number; nanoUsd: number } {
  const sum = { documents: 0, nanoUsd: 0 };
  for (const [name, rules] of Object.entries(cascades)) {
    const { accepted, escalated, answered, failed, skipped, nanoUsd } = stageCounts(counts, name, stage);
    // Drafts that failed count as escalated, too.
    sum.documents += accepted + escalated + skipped + answered + (isLastStage(rules, stage) ? failed : 0);
    sum.nanoUsd += nanoUsd;
  }
  return sum;
}

/** What is known of a batch's money. */
export type MoneySoFar = {
  readonly total: number;
  readonly counts: Counts;
  readonly cascades: Cascades;
  /** What its audits have cost until now; of those to come nothing is known. */
  readonly audited: number;
};

/**
 * What a batch will have cost in the end if nothing ends it before, in 10⁻⁹ US dollars; null while there is nothing to judge by. Each stage costs
 * what it has cost per document until now, times the documents that it will have had: the settled ones alone would say
 * too little, as those are settled first that cost least.
 */
export function moneyInTheEnd(
  notes: readonly ProgressNote[],
  { total, counts, cascades, audited }: MoneySoFar,
): Expected | null {
  const last = notes.at(-1);
  if (last === undefined || !isPriced(cascades)) return null;
  const sum = { low: audited, likely: audited, high: audited };
  for (const [stage, reach] of reachOf(last, total).entries()) {
    if ((last.stages[stage]?.reached ?? 0) === 0) continue;
    const { documents, nanoUsd } = answeredIn(counts, cascades, stage);
    if (documents === 0) return null;
    const each = nanoUsd / documents;
    const deviation = Z * Math.sqrt(DOCUMENT_SPREAD ** 2 / documents + DRIFT ** 2);
    const toCome = (all: number): number => Math.max(0, all - documents) * each;
    sum.low += nanoUsd + toCome(reach.low) * Math.max(0, 1 - deviation);
    sum.likely += nanoUsd + toCome(reach.likely);
    sum.high += nanoUsd + toCome(reach.high) * (1 + deviation);
  }
  return sum;
}
