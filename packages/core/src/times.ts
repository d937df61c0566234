import { z } from 'zod';

/** Why a try failed: `type` is a status or a short name, as OpenTelemetry's `error.type`. Neither holds content. */
export type TryError = { readonly type: string; readonly message: string };

/** A call beside the draft's own, by which it is judged. Unix milliseconds. */
export type ExtraCall = {
  readonly purpose: 'self_assessment' | 'sample';
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly error: TryError | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
};

/** One try of a tier with a document. Unix milliseconds. */
export type TierAttempt = {
  /** When it began to wait for this try: at its feeding, its hand-over, or the end of the try before. */
  readonly sinceMs: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Why it failed; null for an answer. */
  readonly error: TryError | null;
  /** After the draft's own call, which ended when the first of them began. */
  readonly extra?: readonly ExtraCall[];
};

/** What a tier's tries took, in milliseconds: waiting for them, and the calls themselves. */
type TierTimes = { readonly queueMs: number; readonly callMs: number };

/** Where a document's time went, in milliseconds. */
export type DocumentTimes = {
  readonly drafter: TierTimes | null;
  /** From the end of the draft until the expert's job exists. */
  readonly handOverMs: number | null;
  readonly expert: TierTimes | null;
  /** From feeding until the expert's first call starts. */
  readonly sequentialMs: number | null;
  readonly totalMs: number;
};

/** What the times are computed from. */
export type DocumentWay = {
  readonly fedAtMs: number;
  readonly drafts: readonly TierAttempt[];
  readonly handedOverAtMs: number | null;
  readonly experts: readonly TierAttempt[];
  readonly endedAtMs: number;
};

/** Clocks of two machines differ: nothing takes less than no time. A tenth of a millisecond is enough. */
const between = (fromMs: number, toMs: number): number => Math.max(0, Math.round((toMs - fromMs) * 10) / 10);

const sumOf = (values: readonly number[]): number =>
  Math.round(values.reduce((sum, value) => sum + value, 0) * 10) / 10;

function tierTimes(attempts: readonly TierAttempt[]): TierTimes | null {
  if (attempts.length === 0) return null;
  return {
    queueMs: sumOf(attempts.map(({ sinceMs, startedAtMs }) => between(sinceMs, startedAtMs))),
    callMs: sumOf(attempts.map(({ startedAtMs, endedAtMs }) => between(startedAtMs, endedAtMs))),
  };
}

export function timesOf(way: DocumentWay): DocumentTimes {
  const { fedAtMs, drafts, handedOverAtMs, experts, endedAtMs } = way;
  const [firstExpert] = experts;
  const draftedAtMs = drafts.at(-1)?.endedAtMs ?? fedAtMs;
  return {
    drafter: tierTimes(drafts),
    handOverMs: handedOverAtMs === null ? null : between(draftedAtMs, handedOverAtMs),
    expert: tierTimes(experts),
    sequentialMs: firstExpert === undefined ? null : between(fedAtMs, firstExpert.startedAtMs),
    totalMs: between(fedAtMs, endedAtMs),
  };
}

const ms = z.number().min(0);
const tier = z.tuple([ms, ms]).nullable();
const written = z.tuple([tier, ms.nullable(), tier, ms.nullable(), ms]);

/** Times as they are kept beside a result until its page is sealed: some 50 bytes. */
export function writeTimes({ drafter, handOverMs, expert, sequentialMs, totalMs }: DocumentTimes): string {
  const pair = (times: TierTimes | null) => times && [times.queueMs, times.callMs];
  return JSON.stringify([pair(drafter), handOverMs, pair(expert), sequentialMs, totalMs]);
}

/** Null for what is none. */
export function readTimes(text: string): DocumentTimes | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const read = written.safeParse(value);
  if (!read.success) return null;
  const [drafter, handOverMs, expert, sequentialMs, totalMs] = read.data;
  const times = (one: readonly [number, number] | null) => one && { queueMs: one[0], callMs: one[1] };
  return { drafter: times(drafter), handOverMs, expert: times(expert), sequentialMs, totalMs };
}
