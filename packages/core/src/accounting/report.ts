import { DELAY_REASONS, type DelayReason } from '../document/delays.ts';
import type { AskKind } from '../cascade/ask.ts';
import type { Role } from '../cascade/tier.ts';
import {
  addStageCounts,
  fieldCounter,
  stageCounts,
  totalOf,
  unaskedIn,
  type Counts,
  type StageCounts,
} from './counts.ts';
import { confidencesOf, type ConfidenceBin } from './confidence-bins.ts';
import { askReasonsOf, failuresOf, reasonsOf, type CountedReason, type Said } from './reasons.ts';
import { Sketch } from './sketch.ts';
import type { Waits } from './waits.ts';

/** A stage as a report names it; `stage` counts from 0. */
export type ReportedStage = {
  readonly cascade: string;
  readonly stage: number;
  readonly model: string;
  readonly role: Role;
  readonly ask: AskKind;
  /** Whether its confidence comes from a calibration; null: it judges nothing. */
  readonly calibrated: boolean | null;
  /** From which confidence on a draft is final; null: it judges nothing, or none is. */
  readonly acceptAt: number | null;
  /** Values that stages before it have rules for, by JSON pointer. */
  readonly ruledFields: readonly string[];
};

/** What a report is made of: the stages that the documents can pass, and the sums and waits of the settled ones. */
export type Account = {
  readonly total: number;
  readonly stages: readonly ReportedStage[];
  readonly counts: Counts;
  readonly said: Said;
  readonly waits: Waits;
};

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

/** A stage with its own sums. */
type StageAccount = ReportedStage & {
  readonly counts: StageCounts;
  readonly reasons: readonly CountedReason[];
  readonly askReasons: readonly Omit<CountedReason, 'said'>[];
  readonly confidences: readonly ConfidenceBin[];
  /** By the places of `ruledFields`. */
  readonly fieldCounts: readonly number[];
  readonly waits: Waits;
};

/**
 * What the stages of a batch did, what it cost, what the sequential wait cost, and what each model alone would have:
 * computed from sums and sketches, so that no document is kept for it.
 */
export function reportOf({ total, stages, counts, said, waits }: Account) {
  const { completed, failed, accepted, escalated } = counts;
  const own = stages.map((stage): StageAccount => ({
    ...stage,
    counts: stageCounts(counts, stage.cascade, stage.stage),
    reasons: reasonsOf(counts, said, stage.cascade, stage.stage),
    askReasons: askReasonsOf(counts, stage.cascade, stage.stage),
    confidences: confidencesOf(counts, stage.cascade, stage.stage),
    fieldCounts: stage.ruledFields.map((_, place) => counts[fieldCounter(stage.cascade, stage.stage, place)] ?? 0),
    waits,
  }));
  const sequential = waits.of('sequential');
  const settled = completed + failed;
  const { copied = 0, kept = 0 } = counts;
  // What follows is of the documents that were asked about.
  const asked = settled - unaskedIn(counts);
  const firsts = own.filter(({ stage }) => stage === 0);
  const experts = own.filter(({ role }) => role === 'expert');
  const escalatedCalls = merged(own, 'escalatedCall');
  return {
    documents: { total, completed, failed, accepted, escalated, copied, kept, unfinished: total - settled },
    traces: { kept: counts.traced ?? 0, documents: total },
    escalated_share: ratio(escalated, asked),
    stages: own.map(stageReport),
    failures: failuresOf(counts, said),
    latency_ms: { accepted: spreadOf(waits.of('acceptedTotal')), escalated: spreadOf(waits.of('escalatedTotal')) },
    sequential_wait: {
      ms: spreadOf(sequential),
      share_of_time: ratio(sequential.sum, waits.of('escalatedTotal').sum),
      mean_parts_ms: own.map(sequentialParts),
    },
    wasted: {
      // Of drafts that a later stage's verdict made final nothing was wasted.
      drafter_seconds: thousandth(Math.max(0, escalatedCalls.sum - totalOf(counts, 'confirmedMs')) / 1000),
      input_tokens: totalOf(counts, 'wastedInputTokens'),
      output_tokens: totalOf(counts, 'wastedOutputTokens'),
      usd: dollars(totalOf(counts, 'wastedNanoUsd')),
    },
    saved_by_copies: {
      documents: copied,
      input_tokens: counts.savedInputTokens ?? 0,
      output_tokens: counts.savedOutputTokens ?? 0,
      usd: dollars(counts.savedNanoUsd ?? 0),
    },
    counterfactuals: {
      cascade: way(totalOf(counts, 'nanoUsd'), merged(own, 'call').sum / 1000, asked),
      all_expert: way(counts.allExpertNanoUsd, ((wholeAnswerMs(experts) ?? 0) * asked) / 1000, asked),
      all_drafter: way(sumOf(firsts).nanoUsd, merged(firsts, 'call').sum / 1000, asked),
    },
    break_even: breakEven(counts, own),
  };
}

export type Report = ReturnType<typeof reportOf>;

const sumOf = (stages: readonly StageAccount[]): StageCounts => addStageCounts(stages.map(({ counts }) => counts));

function merged(stages: readonly StageAccount[], measure: Parameters<Waits['ofStage']>[2]): Sketch {
  const all = new Sketch();
  for (const { cascade, stage, waits } of stages) all.merge(waits.ofStage(cascade, stage, measure));
  return all;
}

/** What a whole answer of some stages takes on average, those that made use of a draft as well; null: there is none. */
function wholeAnswerMs(stages: readonly StageAccount[]): number | null {
  const calls = merged(stages, 'call');
  const { insteadMs, reusedMs } = sumOf(stages);
  return calls.count === 0 ? null : Math.max(0, calls.sum + insteadMs - reusedMs) / calls.count;
}

function stageReport({ cascade, stage, counts, waits, ...named }: StageAccount) {
  const { model, role, ask, calibrated, reasons, askReasons } = named;
  const call = waits.ofStage(cascade, stage, 'call');
  const { accepted, escalated, skipped, answered, failed, kept } = counts;
  return {
    cascade,
    stage: stage + 1,
    model,
    role,
    ask,
    calibrated,
    accept_at: named.acceptAt,
    documents: { accepted, escalated, skipped, answered, failed, kept },
    reasons,
    confidences: named.confidences,
    queue_wait_ms: spreadOf(waits.ofStage(cascade, stage, 'queue')),
    delay_ms: byReason((reason) => {
      const delays = waits.ofDelay(cascade, stage, 'delay', reason);
      return delays.count === 0 ? null : spreadOf(delays);
    }),
    inference_ms: spreadOf(call),
    inference_seconds: thousandth(call.sum / 1000),
    input_tokens: counts.inputTokens,
    cached_tokens: counts.cachedTokens,
    output_tokens: counts.outputTokens,
    usd: dollars(counts.nanoUsd),
    stopped_early: stoppedReport(counts),
    reuse: { ...reuseReport(counts), fields: fieldsReport(named.ruledFields, counts.askedFields, named.fieldCounts) },
    asked_whole: askReasons,
  };
}

/** Which values a stage was asked for by themselves; those without a rule of their own together, as `null`. */
function fieldsReport(ruled: readonly string[], asked: number, counts: readonly number[]) {
  const own = ruled.flatMap((field, place) => (counts[place] ? [{ field, count: counts[place] }] : []));
  const others = asked - own.reduce((sum, { count }) => sum + count, 0);
  return [...own, ...(others > 0 ? [{ field: null, count: others }] : [])];
}

/** Documents whose earlier drafts a stage made use of: what that took, and what their whole answers would have. */
function reuseReport(counts: StageCounts) {
  const { reusedMs, insteadMs } = counts;
  return {
    documents: counts.reused,
    whole: counts.reusedWhole,
    input_tokens: counts.reusedInputTokens,
    output_tokens: counts.reusedOutputTokens,
    usd: dollars(counts.reusedNanoUsd),
    instead: {
      input_tokens: counts.insteadInputTokens,
      output_tokens: counts.insteadOutputTokens,
      usd: dollars(counts.insteadNanoUsd),
    },
    saved_seconds: insteadMs === 0 ? null : thousandth((insteadMs - reusedMs) / 1000),
  };
}

/** Drafts that were given up, and about what they would have written on, had they been as long as the final ones. */
function stoppedReport(counts: StageCounts) {
  const { stopped, stoppedOutputTokens, outputTokens, wastedOutputTokens } = counts;
  const final = counts.accepted + counts.confirmed;
  const mean = final === 0 ? null : (outputTokens - wastedOutputTokens) / final;
  return {
    documents: stopped,
    output_tokens: stoppedOutputTokens,
    saved_output_tokens: mean === null ? null : Math.max(0, Math.round(stopped * mean - stoppedOutputTokens)),
  };
}

/** What a stage contributes to the sequential wait of those that ended beyond it, or, for its queue, with it. */
function sequentialParts({ cascade, stage, waits }: StageAccount) {
  const mean = (measure: Parameters<Waits['ofStage']>[2]): number | null =>
    tenth(waits.ofStage(cascade, stage, measure).mean);
  const queue = stage === 0 ? 'escalatedQueue' : 'queue';
  return {
    cascade,
    stage: stage + 1,
    queue: mean(queue),
    delays: byReason((reason) => {
      const delays = waits.ofDelay(cascade, stage, stage === 0 ? 'escalatedDelay' : 'delay', reason);
      // Of all of them, those included that nothing delayed: so the parts add up.
      return delays.count === 0 ? null : tenth(delays.sum / waits.ofStage(cascade, stage, queue).count);
    }),
    call: mean('escalatedCall'),
    hand_off: mean('handOff'),
  };
}

/** What there is of each reason for a delay. */
function byReason<T>(of: (reason: DelayReason) => T | null): Partial<Record<DelayReason, T>> {
  return Object.fromEntries(
    DELAY_REASONS.flatMap((reason) => {
      const found = of(reason);
      return found === null ? [] : [[reason, found]];
    }),
  );
}

/** One way of answering the settled documents: its money, the seconds its models work, and those per document. */
const way = (nanoUsd: number, seconds: number, documents: number) => ({
  usd: dollars(nanoUsd),
  inference_seconds: thousandth(seconds),
  mean_inference_ms: documents === 0 ? null : tenth((seconds * 1000) / documents),
});

/**
 * The share of escalations below which a cascade of two stages takes less than the expert alone. A document takes
 * E[draft] and, with the share p, E[escalation] on top, so it pays as long as p < (E[expert] − E[draft]) /
 * E[escalation], which is never beyond 1, and 0 where a draft alone takes as much as the expert. Where nothing is reused
 * an escalation is a whole answer. The same holds for money. With more stages there is no such share, as what an
 * escalation takes depends on where it ends; and in a shadow run escalations say nothing of the cascade.
 */
function breakEven(counts: Counts, stages: readonly StageAccount[]) {
  const asked = counts.completed + counts.failed - unaskedIn(counts);
  const share = ratio(counts.escalated, asked);
  const isOfTwo = stages.every(({ stage }) => stage < 2);
  // What was kept of another batch was not drawn by chance from its documents.
  const isPart = (counts.kept ?? 0) > 0 || stages.some((stage) => stage.counts.kept > 0);
  const isShadow = stages.some(({ reasons }) => reasons.some(({ reason }) => reason === 'shadow_run'));
  const firsts = stages.filter(({ stage }) => stage === 0);
  const experts = stages.filter(({ role }) => role === 'expert');
  const side = (draft: number | null, expert: number | null, escalation: number | null) => {
    if (!isOfTwo || isPart || draft === null || expert === null || expert <= 0)
      return { escalated_share: null, pays: null };
    const more = escalation === null || escalation <= 0 ? expert : escalation;
    const most = Math.min(1, Math.max(0, (expert - draft) / more));
    const pays = isShadow || share === null ? null : draft + share * more < expert;
    return { escalated_share: Math.round(most * 1e4) / 1e4, pays };
  };
  const mean = (sum: number, count: number): number | null => (count === 0 ? null : sum / count);
  const { nanoUsd, answered, failed } = sumOf(experts);
  return {
    time: side(mean(merged(firsts, 'call').sum, asked), wholeAnswerMs(experts), merged(experts, 'call').mean),
    money: side(
      mean(sumOf(firsts).nanoUsd, asked),
      mean(counts.allExpertNanoUsd, asked),
      mean(nanoUsd, answered + failed),
    ),
  };
}
