import type { Counts } from './account.ts';
import type { Sketch } from './sketch.ts';
import type { Waits } from './waits.ts';

/** What a report is made of: the sums and the waits of the documents that are settled. */
export type Account = { readonly total: number; readonly counts: Counts; readonly waits: Waits };

/** How some milliseconds are spread; null where there are none. Quantiles are right within one percent. */
export type Spread = {
  readonly count: number;
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
};

const tenth = (value: number | null): number | null => (value === null ? null : Math.round(value * 10) / 10);
const thousandth = (value: number): number => Math.round(value * 1000) / 1000;
const ratio = (part: number, whole: number): number | null =>
  whole > 0 ? Math.round((part / whole) * 1e4) / 1e4 : null;
const dollars = (nanoUsd: number): number => nanoUsd / 1e9;

const spreadOf = (sketch: Sketch): Spread => ({
  count: sketch.count,
  mean: tenth(sketch.mean),
  p50: tenth(sketch.quantile(0.5)),
  p95: tenth(sketch.quantile(0.95)),
  p99: tenth(sketch.quantile(0.99)),
});

/**
 * What the tiers of a batch did, what it cost, what the sequential wait cost, and what each model alone would have:
 * computed from sums and sketches, so that no document is kept for it.
 */
export function reportOf({ total, counts, waits }: Account) {
  const { completed, failed, accepted, escalated } = counts;
  const [draft, expert, sequential] = [waits.of('draft'), waits.of('expert'), waits.of('sequential')];
  const spent = counts.draftNanoUsd + counts.expertNanoUsd;
  return {
    documents: { total, completed, failed, accepted, escalated, unfinished: total - completed - failed },
    escalated_share: ratio(escalated, accepted + escalated),
    tiers: {
      drafter: {
        queue_wait_ms: spreadOf(waits.of('drafterQueue')),
        inference_ms: spreadOf(draft),
        inference_seconds: thousandth(draft.sum / 1000),
        input_tokens: counts.draftInputTokens,
        output_tokens: counts.draftOutputTokens,
        usd: dollars(counts.draftNanoUsd),
      },
      expert: {
        queue_wait_ms: spreadOf(waits.of('expertQueue')),
        inference_ms: spreadOf(expert),
        inference_seconds: thousandth(expert.sum / 1000),
        input_tokens: counts.expertInputTokens,
        output_tokens: counts.expertOutputTokens,
        usd: dollars(counts.expertNanoUsd),
      },
    },
    latency_ms: { accepted: spreadOf(waits.of('acceptedTotal')), escalated: spreadOf(waits.of('escalatedTotal')) },
    sequential_wait: {
      ms: spreadOf(sequential),
      share_of_time: ratio(sequential.sum, waits.of('escalatedTotal').sum),
      mean_parts_ms: {
        drafter_queue: tenth(waits.of('escalatedDrafterQueue').mean),
        draft: tenth(waits.of('escalatedDraft').mean),
        hand_over: tenth(waits.of('handOver').mean),
        expert_queue: tenth(waits.of('expertQueue').mean),
      },
    },
    wasted: {
      drafter_seconds: thousandth(waits.of('escalatedDraft').sum / 1000),
      input_tokens: counts.wastedInputTokens,
      output_tokens: counts.wastedOutputTokens,
      usd: dollars(counts.wastedNanoUsd),
    },
    counterfactuals: {
      cascade: alone(spent, (draft.sum + expert.sum) / 1000, accepted + escalated),
      all_expert: alone(
        counts.allExpertNanoUsd,
        ((expert.mean ?? 0) * (accepted + escalated)) / 1000,
        accepted + escalated,
      ),
      all_drafter: alone(counts.draftNanoUsd, draft.sum / 1000, accepted + escalated),
    },
    break_even: breakEven(counts, draft.mean, expert.mean),
  };
}

export type Report = ReturnType<typeof reportOf>;

/** One way of answering the settled documents: its money, the seconds its models work, and those per document. */
const alone = (nanoUsd: number, seconds: number, documents: number) => ({
  usd: dollars(nanoUsd),
  inference_seconds: thousandth(seconds),
  mean_inference_ms: documents === 0 ? null : tenth((seconds * 1000) / documents),
});

/**
 * The share of escalations below which a cascade takes less than the expert alone: a document costs E[draft] and, with
 * the share p, E[expert] on top, so it pays as long as p < 1 − E[draft] / E[expert]. The same holds for money.
 */
function breakEven(counts: Counts, draftMs: number | null, expertMs: number | null) {
  const { accepted, escalated, draftNanoUsd, allExpertNanoUsd } = counts;
  const share = ratio(escalated, accepted + escalated);
  const side = (draft: number | null, expert: number | null) => {
    const known = draft !== null && expert !== null && expert > 0;
    const most = known ? Math.round((1 - draft / expert) * 1e4) / 1e4 : null;
    return { escalated_share: most, pays: most === null || share === null ? null : share < most };
  };
  return { time: side(draftMs, expertMs), money: side(draftNanoUsd, allExpertNanoUsd) };
}
