import type { Usage } from '../endpoints/completion.ts';
import { stageCounter, type Counts } from './counts.ts';
import { nanoUsd, type Price } from './price.ts';

/** What stages took of a document that has no answer, by stage from 0, as a page counts it. */
export function spentCounts(
  cascade: string,
  { stages }: { readonly stages: readonly { readonly price: Price | null }[] },
  spent: readonly Usage[],
): Partial<Counts> {
  const counts: Record<string, number> = {};
  for (const [stage, { price }] of stages.entries()) {
    const usage = spent[stage];
    if (usage === undefined) continue;
    const money = nanoUsd(usage, price);
    const isDraft = stage < stages.length - 1;
    const own = {
      inputTokens: usage.inputTokens,
      cachedTokens: usage.cachedTokens,
      outputTokens: usage.outputTokens,
      reasoningTokens: usage.reasoningTokens,
      nanoUsd: money,
      ...(isDraft
        ? { wastedInputTokens: usage.inputTokens, wastedOutputTokens: usage.outputTokens, wastedNanoUsd: money }
        : {}),
    } as const;
    for (const [name, by] of Object.entries(own)) {
      if (by > 0) counts[stageCounter(cascade, stage, name as keyof typeof own)] = by;
    }
  }
  return counts;
}
