import { listenForWork, type Queues, type RedisStore, type WorkListener } from '@spillway/redis';
import { repeat, Wake, type InputLimits, type Log, type Telemetry } from '@spillway/runtime';
import type { Records, RoomWatch, Storage } from '@spillway/storage';
import { AuditRecorder } from './audits.ts';
import { Calibrator } from './calibrate/calibrator.ts';
import { SampledResults } from './calibrate/sampled-results.ts';
import { Copier } from './copy.ts';
import { Ender } from './end.ts';
import { Enqueuer } from './enqueue.ts';
import { Finisher } from './finish.ts';
import { collectGarbage } from './garbage.ts';
import { knownBy } from './known-results.ts';
import type { LiveBatches } from './live-batches.ts';
import type { Outlines } from './outlines.ts';
import { DECIDES_EVERY_MS, Precedence } from './precedence.ts';
import { ProgressNotes } from './progress.ts';
import { recoverIfNeeded } from './recover.ts';
import { RedecidedResults } from './redecided-results.ts';
import { sealFullPages } from './seal.ts';
import type { StepFailures } from './step-failures.ts';
import { Sweep, type SweepOptions } from './sweep.ts';
import { Validator } from './validate.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

/** Where storage is short of room garbage is collected again after this, and for at most a tenth of the time. */
const GARBAGE_IF_SHORT_MS = 1_000;

/** How often it is looked of which batches a note is due. */
const NOTE_MS = 1_000;

/** How often each kind of work is looked for when nobody wakes the leader, in milliseconds. */
export type Intervals = {
  readonly pollMs: number;
  readonly recoveryMs: number;
  readonly sweepMs: number;
  readonly garbageMs: number;
};

/** All that the leader's loops are made of; each gets the part that it needs. */
export type LeaderOptions = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly storage: Storage;
  readonly records: Records;
  readonly room: RoomWatch;
  readonly failures: StepFailures;
  readonly webhooks: Webhooks;
  readonly live: LiveBatches;
  readonly outlines: Outlines;
  readonly limits: InputLimits;
  readonly intervals: Intervals;
  readonly telemetry: Telemetry;
  readonly log: Log;
};

/** Does the leader's work until the signal is aborted. `token` names this process in a recovery. */
export async function lead(given: LeaderOptions, token: string, signal: AbortSignal): Promise<void> {
  const { redis, room, webhooks, live, outlines, intervals, log } = given;
  const { meters, spans } = given.telemetry;
  const precedence = new Precedence(given);
  const sampling = spans?.settings.sampling ?? null;
  const copier = new Copier({ ...given, meters, sampling });
  const calibrator = new Calibrator(given);
  const audits = new AuditRecorder({ ...given, meters });
  const options = {
    ...given,
    audits,
    meters,
    spans,
    sampling,
    copier,
    calibrator,
    known: knownBy(new SampledResults(given), new RedecidedResults(given)),
    finisher: new Finisher(given),
    precedence,
  };
  const [validator, enqueuer, ender] = [new Validator(options), new Enqueuer(options), new Ender(options)];
  const progress = new ProgressNotes({ ...given, enqueuer });
  live.begin([outlines, validator, calibrator, enqueuer, copier, ender, progress, audits]);
  const wake = new Wake();
  await using _listening = await listenForWork(redis, wakeOnChange(live, wake), signal);
  const onError = (name: string) => (error: unknown) => {
    if (!redis.outage.explains(error)) log.warn({ err: error, loop: name }, 'a loop failed and goes on');
  };
  /** Work by what the batches are at now. What was done is what other loops wait for. */
  const waking = (work: () => Promise<boolean>) => async (): Promise<boolean> => {
    await live.refresh();
    const isBusy = await work();
    if (isBusy) wake.call();
    return isBusy;
  };
  /** Work that ends in storage: on a full disk it waits, and nothing fails. */
  const writing = (work: () => Promise<boolean>) => waking(async () => !room.isFull && (await work()));
  const recover = async (): Promise<boolean> => {
    if (!(await recoverIfNeeded(options, token, signal))) return false;
    live.noteGap();
    wake.call();
    return true;
  };
  const steps = {
    validate: writing(() => validator.validateSome()),
    calibrate: writing(() => calibrator.calibrateSome()),
    enqueue: waking(() => enqueuer.enqueueSome()),
    copy: waking(() => copier.copySome()),
    seal: writing(() => sealFullPages(options)),
    end: writing(() => ender.endSome()),
    webhooks: () => webhooks.sendDue(signal),
  };
  await recover();
  await Promise.all([
    // No message says that Redis was lost.
    repeat(recover, { idleMs: intervals.recoveryMs, signal, onError: onError('recover') }),
    ...Object.entries(steps).map(([name, work]) =>
      repeat(work, { idleMs: intervals.pollMs, signal, wake, onError: onError(name) }),
    ),
    repeat(() => progress.noteSome(), { idleMs: NOTE_MS, signal, onError: onError('progress') }),
    repeat(() => audits.lookSome(), { idleMs: NOTE_MS, signal, onError: onError('audit') }),
    repeat(() => precedence.decide(), { idleMs: DECIDES_EVERY_MS, signal, onError: onError('precedence') }),
    sweepAgainAndAgain(options, signal),
    collectAgainAndAgain(options, signal),
  ]);
  await Promise.all([validator.stop(), webhooks.stop()]);
}

const wakeOnChange = (live: LiveBatches, wake: Wake): WorkListener => ({
  onChange: (batch) => {
    live.noteChange(batch);
    wake.call();
  },
  onGap: () => {
    live.noteGap();
    wake.call();
  },
});

/** Loops that nothing wakes: they look for what a killed process left, which nobody waits for. */
async function sweepAgainAndAgain(
  options: SweepOptions & Pick<LeaderOptions, 'webhooks' | 'intervals'>,
  signal: AbortSignal,
): Promise<void> {
  const sweep = new Sweep(options);
  const sweepOnce = async (): Promise<boolean> => {
    await sweep.sweepSome(signal);
    await options.webhooks.readMarks();
    return false;
  };
  const onError = (error: unknown): void => {
    if (!options.redis.outage.explains(error)) options.log.warn({ err: error }, 'the sweep failed and is repeated');
  };
  await repeat(sweepOnce, { idleMs: options.intervals.sweepMs, signal, onError });
}

async function collectAgainAndAgain(
  { storage, room, log, intervals }: Pick<LeaderOptions, 'storage' | 'room' | 'log' | 'intervals'>,
  signal: AbortSignal,
): Promise<void> {
  // Not at once: a dispatcher that has just come to lead has more pressing things to do. Nor all the time where room is short.
  let [dueMs, dueIfShortMs] = [performance.now() + intervals.garbageMs, 0];
  const collect = async (): Promise<boolean> => {
    const beganMs = performance.now();
    const { isShort } = room;
    if (beganMs < (isShort ? dueIfShortMs : dueMs)) return false;
    await collectGarbage({ storage, log, nowMs: Date.now(), isShort, signal });
    const endedMs = performance.now();
    dueMs = endedMs + intervals.garbageMs;
    dueIfShortMs = endedMs + Math.max(GARBAGE_IF_SHORT_MS, (endedMs - beganMs) * 10);
    return false;
  };
  const onError = (error: unknown): void => log.warn({ err: error }, 'collecting garbage failed and is repeated');
  await repeat(collect, { idleMs: Math.min(intervals.garbageMs, GARBAGE_IF_SHORT_MS), signal, onError });
}
