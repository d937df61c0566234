import { z } from 'zod';
import type { AttemptError } from './attempt-error.ts';
import { DELAY_REASONS, waitParts, type Delay, type DelayReason, type Take } from './delays.ts';

/** Calls beside an answer's own, by which it is judged; they begin when that has ended. */
const JUDGING_CALLS = ['self_assessment', 'sample', 'comparison'] as const;

/** The calls of a stage that is not just asked for its answer: all that it makes, the one for the whole answer included. */
const ASKING_CALLS = ['scoring', 'continuation', 'fields', 'verdict', 'whole_answer'] as const;

/** One of several calls of an attempt. Unix milliseconds. */
export type ExtraCall = {
  readonly purpose: (typeof JUDGING_CALLS)[number] | (typeof ASKING_CALLS)[number];
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly error: AttemptError | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
};

/** Whether a call is one of a stage that is not just asked for its answer. */
export const isAsking = (purpose: ExtraCall['purpose']): boolean =>
  (ASKING_CALLS as readonly string[]).includes(purpose);

/** Whether the calls of an attempt are all among its extra ones: there is no other. */
export const areAllExtra = (extra: readonly ExtraCall[]): boolean => extra.some(({ purpose }) => isAsking(purpose));

/** One attempt of a stage at a document: its call, and what calls there are beside it. Unix milliseconds. */
export type Attempt = {
  /** When it began to wait for this attempt: at its enqueueing, its hand-off, or the end of the attempt before. */
  readonly sinceMs: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Why it failed; null for an answer. */
  readonly error: AttemptError | null;
  /** After the attempt's own call, which ended when the first of them began; or all that there are. */
  readonly extra?: readonly ExtraCall[];
  /** What of the wait before it was no time in the queue; absent: nothing. */
  readonly delays?: readonly Delay[] | undefined;
  /** Absent in what an earlier version wrote, and in a direct answer. */
  readonly take?: Take | undefined;
};

/** A stage that a document passed: its attempts, none where it was skipped, and when it went on to the next stage. */
export type StagePassage = { readonly attempts: readonly Attempt[]; readonly handedOffAtMs: number | null };

/** Where a document has been, in the order of the stages; the last of them is the one that ended its way. */
export type Passage = {
  readonly enqueuedAtMs: number;
  readonly stages: readonly StagePassage[];
  readonly endedAtMs: number;
};

/** What delayed a document, in milliseconds, by reason; reasons that did not are absent. */
export type DelayTimes = Readonly<Partial<Record<DelayReason, number>>>;

/** What a stage took of a document, in milliseconds: waiting for its attempts, the calls, the hand-off after them. */
export type StageTimes = {
  /** In the queue, for want of a free worker. */
  readonly queueMs: number;
  /** Absent: nothing delayed it. */
  readonly delaysMs?: DelayTimes;
  readonly callMs: number;
  readonly handOffMs: number | null;
};

/** Where a document's time went, in milliseconds. */
export type DocumentTimes = {
  /** By stage; null: it was not asked. */
  readonly stages: readonly (StageTimes | null)[];
  /** From enqueueing until the first call of the last stage; null for what the first stage delivered by itself. */
  readonly sequentialMs: number | null;
  readonly totalMs: number;
};

/** Clocks of two machines differ: nothing takes less than no time. A tenth of a millisecond is enough. */
const between = (fromMs: number, toMs: number): number => Math.max(0, tenths(toMs - fromMs));

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

const sumOf = (values: readonly number[]): number => tenths(values.reduce((sum, value) => sum + value, 0));

function stageTimes({ attempts, handedOffAtMs }: StagePassage): StageTimes | null {
  const last = attempts.at(-1);
  if (last === undefined) return null;
  const waited = new Map<DelayReason | 'queue', number>();
  for (const { sinceMs, startedAtMs, delays = [] } of attempts) {
    for (const { reason, fromMs, toMs } of waitParts({ fromMs: sinceMs, toMs: startedAtMs }, delays)) {
      waited.set(reason, (waited.get(reason) ?? 0) + between(fromMs, toMs));
    }
  }
  const delays = DELAY_REASONS.map((reason) => [reason, tenths(waited.get(reason) ?? 0)] as const).filter(
    ([, ms]) => ms > 0,
  );
  return {
    queueMs: tenths(waited.get('queue') ?? 0),
    ...(delays.length === 0 ? {} : { delaysMs: Object.fromEntries(delays) }),
    callMs: sumOf(attempts.map(({ startedAtMs, endedAtMs }) => between(startedAtMs, endedAtMs))),
    handOffMs: handedOffAtMs === null ? null : between(last.endedAtMs, handedOffAtMs),
  };
}

export function timesOf({ enqueuedAtMs, stages, endedAtMs }: Passage): DocumentTimes {
  const [firstAttempt] = stages.at(-1)?.attempts ?? [];
  const isEscalated = stages.length > 1;
  return {
    stages: stages.map(stageTimes),
    sequentialMs: isEscalated && firstAttempt !== undefined ? between(enqueuedAtMs, firstAttempt.startedAtMs) : null,
    totalMs: between(enqueuedAtMs, endedAtMs),
  };
}

const ms = z.number().min(0);
/** Reasons of a version to come are there, too, and are not read. Without delays it is as the version before writes it. */
const delays = z.record(z.string(), ms);
const stage = z.union([z.tuple([ms, ms, ms.nullable()]), z.tuple([ms, ms, ms.nullable(), delays])]).nullable();
const written = z.tuple([z.string(), z.array(stage), ms.nullable(), ms]);

/** The times of a document of a cascade. */
export type CascadeTimes = { readonly cascade: string; readonly times: DocumentTimes };

/** Times as they are kept beside a result until its page is sealed: some 60 bytes. */
export function writeTimes({ cascade, times }: CascadeTimes): string {
  const { stages, sequentialMs, totalMs } = times;
  const parts = stages.map((one) => one && writeStage(one));
  return JSON.stringify([cascade, parts, sequentialMs, totalMs]);
}

function writeStage({ queueMs, delaysMs, callMs, handOffMs }: StageTimes): unknown[] {
  const parts = [queueMs, callMs, handOffMs];
  return delaysMs === undefined ? parts : [...parts, delaysMs];
}

/** Null for what is none. */
export function readTimes(text: string): CascadeTimes | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const read = written.safeParse(value);
  if (!read.success) return null;
  const [cascade, parts, sequentialMs, totalMs] = read.data;
  return { cascade, times: { stages: parts.map((one) => one && readStage(one)), sequentialMs, totalMs } };
}

function readStage([queueMs, callMs, handOffMs, delaysMs]: NonNullable<z.output<typeof stage>>): StageTimes {
  const known = DELAY_REASONS.flatMap((reason) =>
    delaysMs?.[reason] === undefined ? [] : [[reason, delaysMs[reason]]],
  );
  return { queueMs, ...(known.length === 0 ? {} : { delaysMs: Object.fromEntries(known) }), callMs, handOffMs };
}
