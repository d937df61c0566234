import { z } from 'zod';
import type { Usage } from '../endpoints/completion.ts';

/** Counters of a batch or a page as a whole. Integers, so that sums in any order agree. */
export const COUNTERS = [
  'completed',
  'failed',
  /** Documents whose result is an accepted draft, of whichever stage. */
  'accepted',
  /** Documents whose first draft was not final. */
  'escalated',
  /** What the same documents would have cost with the last stage's model alone, in 10⁻⁹ US dollars. */
  'allExpertNanoUsd',
] as const;

/** Counters that are absent where nothing was counted, and in records of the version before. */
const MORE_COUNTERS = [
  /** Documents whose trace is kept. */
  'traced',
  /** Completed documents that were answered from an equal one, and what that one took: tokens, and 10⁻⁹ US dollars. */
  'copied',
  'savedInputTokens',
  'savedOutputTokens',
  'savedNanoUsd',
  /** Completed documents whose answers are known from the batch that this one was decided anew from. */
  'kept',
] as const;

/** Counters of a stage that makes use of the drafts before it, which records of earlier versions have no place for. */
const REUSE_COUNTERS = [
  /** Documents that were answered so, and those among them whose draft stood as it was. */
  'reused',
  'reusedWhole',
  'reusedInputTokens',
  'reusedOutputTokens',
  'reusedNanoUsd',
  'reusedMs',
  /** What their whole answers would have taken of the same model. */
  'insteadInputTokens',
  'insteadOutputTokens',
  'insteadNanoUsd',
  'insteadMs',
  /** Drafts of the stage that are final by the verdict of a later one, and how long the calls for them took. */
  'confirmed',
  'confirmedMs',
  /** Values that were asked for by themselves. */
  'askedFields',
] as const;

/** Counters of a stage that came later still, for which the same holds. */
const LATER_COUNTERS = [
  /** Accepted drafts of the stage that the expert is also asked about. */
  'auditsChosen',
] as const;

/** Counters of one stage of one cascade. */
export const STAGE_COUNTERS = [
  'accepted',
  'escalated',
  /** Documents that passed by the stage unasked, as its model is known not to take them. */
  'skipped',
  'answered',
  'failed',
  'inputTokens',
  'cachedTokens',
  'outputTokens',
  'reasoningTokens',
  /** Money in 10⁻⁹ US dollars. */
  'nanoUsd',
  /** Of drafts that were not accepted. */
  'wastedInputTokens',
  'wastedOutputTokens',
  'wastedNanoUsd',
  /** Drafts that were given up before they were whole, and what had come of them. */
  'stopped',
  'stoppedOutputTokens',
  /** Drafts that were delivered as the batch's time ran out. */
  'deadlineDrafts',
  ...REUSE_COUNTERS,
  ...LATER_COUNTERS,
  /** Documents whose draft of the stage is known from the batch that this one was decided anew from: it was not asked. */
  'kept',
] as const;

export type Counter = (typeof COUNTERS)[number];
export type StageCounter = (typeof STAGE_COUNTERS)[number];

/** A stage's counter: `invoices/1/nanoUsd`. No cascade's name holds a slash. */
type StageCounterName = `${string}/${number}/${StageCounter}`;

/** Drafts of a stage that went on to the next one, by reason: `invoices/1/reason:no_label`. */
type ReasonCounterName = `${string}/${number}/reason:${string}`;

/** Whole answers that a stage was asked for though its rules say otherwise, by reason: `invoices/2/asked:no_draft`. */
type AskCounterName = `${string}/${number}/asked:${string}`;

/** Values that were asked for by themselves and have a rule of their own, by its place among those: `invoices/2/field:0`. */
type FieldCounterName = `${string}/${number}/field:${number}`;

/** Drafts of a stage by how sure they are, in bins: `invoices/1/confidence:45`. */
type ConfidenceCounterName = `${string}/${number}/confidence:${number}`;

/** Lines of the error file by HTTP status or code: `error/400`, `error/batch_expired`. */
type ErrorCounterName = `error/${string}`;

/** Sums of counters; those of stages that no document passed, and of what never happened, are absent. */
export type Counts = Readonly<Record<Counter, number>> &
  Readonly<Partial<Record<(typeof MORE_COUNTERS)[number], number>>> &
  Readonly<
    Record<
      | StageCounterName
      | ReasonCounterName
      | AskCounterName
      | FieldCounterName
      | ConfidenceCounterName
      | ErrorCounterName,
      number
    >
  >;

const STAGE_COUNTER = new RegExp(`^([^/]+)/(\\d+)/(${STAGE_COUNTERS.join('|')})$`);

/** Those of a stage that records of the version before have no place for. */
const MORE_STAGE_COUNTER = new RegExp(
  `^[^/]+/\\d+/(?:stopped|stoppedOutputTokens|deadlineDrafts|kept|${[...REUSE_COUNTERS, ...LATER_COUNTERS].join('|')}|asked:[a-z0-9_]{1,40}|field:\\d{1,4}|confidence:\\d{1,2})$`,
);

/** Whatever a version to come calls its reasons and codes. */
const REASON_COUNTER = /^(?:[^/]+\/\d+\/reason:|error\/)[a-z0-9_]{1,40}$/;

/** The name of a stage's counter; stages count from 0 here, from 1 in the name. */
export const stageCounter = (cascade: string, stage: number, counter: StageCounter): StageCounterName =>
  `${cascade}/${stage + 1}/${counter}`;

/** The name of the counter of a reason for which drafts of a stage, from 0, went on. */
export const reasonCounter = (cascade: string, stage: number, reason: string): ReasonCounterName =>
  `${cascade}/${stage + 1}/reason:${reason}`;

/** The name of the counter of a reason for which a stage, from 0, was asked for whole answers though its rules say otherwise. */
export const askCounter = (cascade: string, stage: number, reason: string): AskCounterName =>
  `${cascade}/${stage + 1}/asked:${reason}`;

/**
 * The name of the counter of a value that a stage, from 0, was asked for by itself. By its place among those that have a
 * rule of their own: the names of others are the clients', and there is no end of them.
 */
export const fieldCounter = (cascade: string, stage: number, place: number): FieldCounterName =>
  `${cascade}/${stage + 1}/field:${place}`;

/** The name of the counter of drafts of a stage, from 0, whose confidence lies in a bin. */
export const confidenceCounter = (cascade: string, stage: number, bin: number): ConfidenceCounterName =>
  `${cascade}/${stage + 1}/confidence:${bin}`;

/**
 * The name of the counter of lines of the error file that hold this HTTP status or code. Neither is the client's or the
 * server's to choose at will: what is no status of an error, and no code as ours are, is counted as `other`.
 */
export function errorCounter(what: number | string): ErrorCounterName {
  const isKnown = typeof what === 'number' ? what >= 300 && what <= 599 : /^[a-z_]{1,40}$/.test(what);
  return `error/${isKnown ? what : 'other'}`;
}

/** Whether a counter says why, which records of the version before have no place for. */
const isReasonCounter = (name: string): boolean => REASON_COUNTER.test(name);

/** Whether a counter is of a stage, and of no batch as a whole. */
export const isStageCounter = (name: string): boolean => STAGE_COUNTER.test(name) || MORE_STAGE_COUNTER.test(name);

/** Whether a name is that of a counter. */
export const isCounter = (name: string): name is keyof Counts =>
  (COUNTERS as readonly string[]).includes(name) ||
  STAGE_COUNTER.test(name) ||
  isReasonCounter(name) ||
  isOneMore(name);

const isOneMore = (name: string): boolean =>
  (MORE_COUNTERS as readonly string[]).includes(name) || MORE_STAGE_COUNTER.test(name);

export const NO_USAGE: Usage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };

export const NO_COUNTS: Counts = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counts;

/** Counts as they are written down. */
export const countsRecord = z.record(
  z.string().refine((name): boolean => isCounter(name), 'expected the name of a counter'),
  z.int().min(0),
);
type CountsRecord = z.output<typeof countsRecord>;

/** Counts that came later. Those of a version to come are there, too, and are not read. */
export const moreRecord = z.record(z.string().max(200), z.int().min(0));

/** Counts as a record holds them. */
type WrittenCounts = {
  readonly counts: CountsRecord;
  readonly reasons?: CountsRecord | undefined;
  readonly more?: CountsRecord | undefined;
};

/**
 * Counts as a record has them; a counter that it does not name is 0. Later ones stand beside those that were there first,
 * as a version takes a record with counters that it does not know for damaged; it wrote none of them.
 */
export const readCounts = ({ counts, reasons = {}, more = {} }: WrittenCounts): Counts => ({
  ...NO_COUNTS,
  ...counts,
  ...reasons,
  ...Object.fromEntries(Object.entries(more).filter(([name]) => isOneMore(name))),
});

/** Counts as a record takes them. */
export function writeCounts(counts: Counts): Readonly<Record<keyof WrittenCounts, CountsRecord>> {
  const groups = Object.groupBy(Object.entries(counts), ([name]) =>
    isReasonCounter(name) ? 'reasons' : isOneMore(name) ? 'more' : 'counts',
  );
  const { reasons = [], more = [], counts: others = [] } = groups;
  return { counts: Object.fromEntries(others), reasons: Object.fromEntries(reasons), more: Object.fromEntries(more) };
}

/** Settled documents that nothing was asked about: they have the answers of others, or of another batch. */
export const unaskedIn = ({ copied = 0, kept = 0 }: Pick<Counts, 'copied' | 'kept'>): number => copied + kept;

/** Sums stay whole numbers that a record can hold, however absurd what is added. */
export function addCounts(left: Counts, right: Partial<Counts>): Counts {
  const sums: Record<string, number> = { ...left };
  for (const [name, count] of Object.entries(right)) {
    sums[name] = Math.min(Number.MAX_SAFE_INTEGER, (sums[name] ?? 0) + (count ?? 0));
  }
  return sums as Counts;
}

export function addUsage(left: Usage, right: Usage): Usage {
  return {
    inputTokens: left.inputTokens + right.inputTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
    outputTokens: left.outputTokens + right.outputTokens,
    reasoningTokens: left.reasoningTokens + right.reasoningTokens,
  };
}

/** One stage's counters; what was never counted is 0. */
export type StageCounts = Readonly<Record<StageCounter, number>>;

const NO_STAGE_COUNTS = Object.fromEntries(STAGE_COUNTERS.map((name) => [name, 0])) as StageCounts;

/** The counters of a stage of a cascade, from 0. */
export function stageCounts(counts: Counts, cascade: string, stage: number): StageCounts {
  const own = STAGE_COUNTERS.map((name) => [name, counts[stageCounter(cascade, stage, name)] ?? 0] as const);
  return Object.fromEntries(own) as StageCounts;
}

/** A counter summed over all stages of all cascades. */
export function totalOf(counts: Counts, counter: StageCounter): number {
  const end = `/${counter}`;
  return Object.entries(counts).reduce((sum, [name, count]) => (name.endsWith(end) ? sum + count : sum), 0);
}

/** The sum of some stages' counters. */
export function addStageCounts(all: readonly StageCounts[]): StageCounts {
  return all.reduce(
    (sum, one) => Object.fromEntries(STAGE_COUNTERS.map((name) => [name, sum[name] + one[name]])) as StageCounts,
    NO_STAGE_COUNTS,
  );
}

/** The `usage` of a batch object: all stages together. */
export function batchUsage(counts: Counts) {
  const input = totalOf(counts, 'inputTokens');
  const output = totalOf(counts, 'outputTokens');
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: totalOf(counts, 'cachedTokens') },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: totalOf(counts, 'reasoningTokens') },
    total_tokens: input + output,
  };
}
