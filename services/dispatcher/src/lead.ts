import { listenForWork, type Queues, type RedisStore } from '@spillway/redis';
import { pause, repeat, Wake, type Log, type Telemetry } from '@spillway/runtime';
import type { Records, Storage } from '@spillway/storage';
import { Ender } from './end.ts';
import { Enqueuer } from './enqueue.ts';
import { Finisher } from './finish.ts';
import { collectGarbage } from './garbage.ts';
import type { InputLimits } from './input-check.ts';
import { LiveBatches } from './live-batches.ts';
import { recoverIfNeeded } from './recover.ts';
import { sealFullPages } from './seal.ts';
import type { StepFailures } from './step-failures.ts';
import { sweepMarks, sweepPages } from './sweep.ts';
import { Validator } from './validate.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

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
  readonly failures: StepFailures;
  readonly webhooks: Webhooks;
  readonly limits: InputLimits;
  readonly intervals: Intervals;
  readonly telemetry: Telemetry;
  readonly log: Log;
};

/** Does the leader's work until the signal is aborted. `token` names this process in a recovery. */
export async function lead(given: LeaderOptions, token: string, signal: AbortSignal): Promise<void> {
  const { redis, webhooks, intervals, telemetry, log } = given;
  const { meters, spans } = telemetry;
  const options = { ...given, meters, sampling: spans?.settings.sampling ?? null, finisher: new Finisher(given) };
  const wake = new Wake();
  await using _listening = await listenForWork(redis, wake, signal);
  const live = new LiveBatches(redis);
  const validator = new Validator(options, () => live.invalidate());
  const enqueuer = new Enqueuer(options);
  const ender = new Ender(options);
  const loop = (name: string, idleMs: number, work: () => Promise<boolean>): Promise<void> =>
    repeat(work, {
      idleMs,
      signal,
      wake,
      onError: (error) => log.warn({ err: error, loop: name }, 'a loop failed and goes on'),
    });
  /** What was done changes the batches: the next reading of them asks Redis. */
  const changing = async (work: Promise<boolean>): Promise<boolean> => {
    const isBusy = await work;
    if (isBusy) live.invalidate();
    return isBusy;
  };
  /** What was done is what other loops wait for. */
  const waking = async (work: Promise<boolean>): Promise<boolean> => {
    const isBusy = await changing(work);
    if (isBusy) wake.call();
    return isBusy;
  };
  await recoverIfNeeded(options, token, signal);
  await Promise.all([
    loop('recover', intervals.recoveryMs, async () => await waking(recoverIfNeeded(options, token, signal))),
    loop('validate', intervals.pollMs, async () => await validator.validateSlice(await live.read())),
    loop('enqueue', intervals.pollMs, async () => await changing(enqueuer.enqueueSome(await live.read()))),
    loop('seal', intervals.pollMs, async () => await waking(sealFullPages(options))),
    loop('end', intervals.pollMs, async () => await waking(ender.endSome(await live.read()))),
    loop('webhooks', intervals.pollMs, async () => {
      await webhooks.sendDue(signal);
      return false;
    }),
    sweepAgainAndAgain(options, live, signal),
    collectAgainAndAgain(options, signal),
  ]);
  await Promise.all([validator.stop(), webhooks.stop()]);
}

/** Loops that nothing wakes: they look for what a killed process left, which nobody waits for. */
async function sweepAgainAndAgain(
  options: Parameters<typeof sweepPages>[0] & Pick<LeaderOptions, 'webhooks' | 'intervals'>,
  live: LiveBatches,
  signal: AbortSignal,
): Promise<void> {
  const sweep = async (): Promise<boolean> => {
    await sweepMarks(options, await live.read(), signal);
    await sweepPages(options, await live.read(), signal);
    await options.webhooks.readMarks();
    return false;
  };
  const onError = (error: unknown): void => options.log.warn({ err: error }, 'the sweep failed and is repeated');
  await repeat(sweep, { idleMs: options.intervals.sweepMs, signal, onError });
}

async function collectAgainAndAgain(
  { storage, log, intervals }: Pick<LeaderOptions, 'storage' | 'log' | 'intervals'>,
  signal: AbortSignal,
): Promise<void> {
  const collect = async (): Promise<boolean> => {
    // Not at once: a dispatcher that has just come to lead has more pressing things to do.
    await pause(intervals.garbageMs, signal);
    if (!signal.aborted) await collectGarbage({ storage, log, nowMs: Date.now(), signal });
    return false;
  };
  const onError = (error: unknown): void => log.warn({ err: error }, 'collecting garbage failed and is repeated');
  await repeat(collect, { idleMs: 0, signal, onError });
}
