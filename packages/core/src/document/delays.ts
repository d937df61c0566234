import type { AttemptError } from './attempt-error.ts';

/**
 * Why a document waited though no further worker would have helped: its server was down or wrongly set up (`breaker`),
 * asked for less (`backpressure`), a call had failed and the next one was to come later (`back_off`), or the worker that
 * had the document was gone (`lost_worker`).
 */
export const DELAY_REASONS = ['breaker', 'backpressure', 'back_off', 'lost_worker'] as const;
export type DelayReason = (typeof DELAY_REASONS)[number];

/** Which taking-up of a document in a stage it was, from 1, and the process that did it. */
export type Take = { readonly number: number; readonly by: string };

/** A part of a wait, in Unix milliseconds. */
export type Delay = {
  readonly reason: DelayReason;
  readonly fromMs: number;
  readonly toMs: number;
  /** It was a call, which used no attempt. */
  readonly call?: { readonly take: Take | undefined; readonly error: AttemptError } | undefined;
};

/** A part of a wait: the time in the queue, or a delay. */
export type WaitPart = Omit<Delay, 'reason'> & { readonly reason: DelayReason | 'queue' };

/** A stage that is refused for hours keeps so many: the longest ones. What is not kept counts as time in the queue. */
const MAX_DELAYS = 24;

/** Delays with one more, in their order. Where it overlaps with others a call counts, else what was there before. */
export function withDelay(delays: readonly Delay[], delay: Delay): readonly Delay[] {
  const others = delay.call === undefined ? delays : delays.flatMap((other) => around(other, delay));
  const added =
    delay.call === undefined ? gapsIn(within(delays, delay), delay).map((gap) => ({ ...delay, ...gap })) : [delay];
  return bounded([...others, ...added].toSorted(byStart));
}

const byStart = (left: Range, right: Range): number => left.fromMs - right.fromMs || left.toMs - right.toMs;

/** What of a delay lies before and behind another one. */
const around = (delay: Delay, other: Range): Delay[] =>
  gapsIn(within([{ ...delay, fromMs: other.fromMs, toMs: other.toMs }], delay), delay).map((gap) => ({
    ...delay,
    ...gap,
  }));

function bounded(delays: readonly Delay[]): readonly Delay[] {
  if (delays.length <= MAX_DELAYS) return delays;
  const longest = delays.toSorted((left, right) => right.toMs - right.fromMs - (left.toMs - left.fromMs));
  return longest.slice(0, MAX_DELAYS).toSorted(byStart);
}

/** What is known of a document's wait when it is taken up. */
export type KnownWait = {
  readonly sinceMs: number;
  /** As they were written down, in their order. */
  readonly delays: readonly Delay[];
  readonly nowMs: number;
  /** When its tier began no calls, for everybody, in their order. */
  readonly holds: readonly Delay[];
  /** When a worker took it up that is gone; null: none did. */
  readonly lostSinceMs: number | null;
  /** Since when and why it was not taken up at other times; null: it stood in the queue. */
  readonly otherwise: { readonly reason: DelayReason; readonly sinceMs: number } | null;
};

/** All delays of a wait that is over. Of two at a time the one counts that was written down, then the loss of a worker. */
export function delaysOf({ sinceMs, delays, nowMs, holds, lostSinceMs, otherwise }: KnownWait): readonly Delay[] {
  let known = within(delays, { fromMs: sinceMs, toMs: nowMs });
  const fill = (more: readonly Delay[]): void => {
    const gaps = gapsIn(known, { fromMs: sinceMs, toMs: nowMs });
    const found = gaps.flatMap((gap) => within(more, gap));
    if (found.length > 0) known = [...known, ...found].toSorted(byStart);
  };
  if (lostSinceMs !== null) fill([{ reason: 'lost_worker', fromMs: lostSinceMs, toMs: nowMs }]);
  fill(holds);
  if (otherwise !== null) fill([{ reason: otherwise.reason, fromMs: otherwise.sinceMs, toMs: nowMs }]);
  return bounded(joinDelays(known, 0));
}

/** Delays of the same reason are one if no more than `maxGapMs` lies between them; a call is one by itself. */
export function joinDelays(delays: readonly Delay[], maxGapMs: number): readonly Delay[] {
  const found: Delay[] = [];
  for (const delay of delays) {
    const last = found.at(-1);
    const isCall = delay.call !== undefined || last?.call !== undefined;
    const isSame = !isCall && last?.reason === delay.reason && delay.fromMs - last.toMs <= maxGapMs;
    if (isSame) found[found.length - 1] = { ...last, toMs: delay.toMs };
    else found.push(delay);
  }
  return found;
}

/** A wait from one moment to another in parts that follow one another: the time in the queue, and the delays. */
export function waitParts(range: Range, delays: readonly Delay[]): WaitPart[] {
  const known = within(delays, range);
  const queued = gapsIn(known, range).map((gap): WaitPart => ({ reason: 'queue', ...gap }));
  return [...known, ...queued].toSorted(byStart);
}

type Range = { readonly fromMs: number; readonly toMs: number };

/** The delays as far as they are within a range; none begins before the one before it is over. */
function within(delays: readonly Delay[], { fromMs, toMs }: Range): Delay[] {
  let lastMs = fromMs;
  return delays.flatMap((delay) => {
    const begins = Math.max(delay.fromMs, lastMs);
    const ends = Math.min(delay.toMs, toMs);
    if (ends <= begins) return [];
    lastMs = ends;
    return [{ ...delay, fromMs: begins, toMs: ends }];
  });
}

function gapsIn(delays: readonly Delay[], { fromMs, toMs }: Range): Range[] {
  const bounds = [fromMs, ...delays.flatMap((delay) => [delay.fromMs, delay.toMs]), toMs];
  const gaps: Range[] = [];
  for (let at = 0; at < bounds.length; at += 2) {
    const [begins = 0, ends = 0] = bounds.slice(at, at + 2);
    if (ends > begins) gaps.push({ fromMs: begins, toMs: ends });
  }
  return gaps;
}
