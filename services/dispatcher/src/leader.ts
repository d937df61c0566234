import { listenForWork } from '@spillway/redis';
import { pause, repeat, Wake } from '@spillway/runtime';
import type { Desk } from './desk.ts';
import { Ender } from './end.ts';
import { Feeder } from './feed.ts';
import { collectGarbage } from './garbage.ts';
import { LiveBatches } from './live.ts';
import { recoverIfNeeded } from './recover.ts';
import { sealFullPages } from './seal.ts';
import { sweepMarks, sweepPages } from './sweep.ts';
import { Validator } from './validate.ts';

/** How often things are looked at when nobody calls, in milliseconds. */
export type Rhythm = {
  readonly pollMs: number;
  readonly recoveryMs: number;
  readonly sweepMs: number;
  readonly garbageMs: number;
};

/** Does the leader's work until the signal is aborted. */
export async function lead(desk: Desk, token: string, rhythm: Rhythm, signal: AbortSignal): Promise<void> {
  const wake = new Wake();
  await using _listening = await listenForWork(desk.board, wake, signal);
  const live = new LiveBatches(desk);
  const validator = new Validator(desk, () => live.stale());
  const feeder = new Feeder(desk);
  const ender = new Ender(desk);
  const loop = (name: string, idleMs: number, turn: () => Promise<boolean>): Promise<void> =>
    repeat(turn, {
      idleMs,
      signal,
      wake,
      onError: (error) => desk.log.warn({ err: error, loop: name }, 'a turn failed and is tried again'),
    });
  const refreshed = async (turn: Promise<boolean>): Promise<boolean> => {
    const busy = await turn;
    if (busy) live.stale();
    return busy;
  };
  const changed = async (turn: Promise<boolean>): Promise<boolean> => {
    const busy = await refreshed(turn);
    if (busy) wake.call();
    return busy;
  };
  await recoverIfNeeded(desk, token, signal);
  await Promise.all([
    loop('recover', rhythm.recoveryMs, async () => await changed(recoverIfNeeded(desk, token, signal))),
    loop('validate', rhythm.pollMs, async () => await validator.turn(await live.read())),
    loop('feed', rhythm.pollMs, async () => await refreshed(feeder.turn(await live.read()))),
    loop('seal', rhythm.pollMs, async () => await changed(sealFullPages(desk))),
    loop('end', rhythm.pollMs, async () => await changed(ender.turn(await live.read()))),
    loop('hooks', rhythm.pollMs, async () => await desk.hooks.turn(signal)),
    sweeping(desk, live, rhythm.sweepMs, signal),
    collecting(desk, rhythm.garbageMs, signal),
  ]);
  await Promise.all([validator.stop(), desk.hooks.stop()]);
}

async function sweeping(desk: Desk, live: LiveBatches, sweepMs: number, signal: AbortSignal): Promise<void> {
  const turn = async (): Promise<boolean> => {
    await sweepMarks(desk, await live.read(), signal);
    await sweepPages(desk, await live.read(), signal);
    await desk.hooks.look();
    return false;
  };
  const onError = (error: unknown): void => desk.log.warn({ err: error }, 'the sweep failed and is tried again');
  await repeat(turn, { idleMs: sweepMs, signal, onError });
}

async function collecting(desk: Desk, garbageMs: number, signal: AbortSignal): Promise<void> {
  const turn = async (): Promise<boolean> => {
    // Not at once: a dispatcher that has just come to lead has more pressing things to do.
    await pause(garbageMs, signal);
    if (!signal.aborted) await collectGarbage({ storage: desk.storage, log: desk.log, nowMs: Date.now(), signal });
    return false;
  };
  const onError = (error: unknown): void => desk.log.warn({ err: error }, 'collecting garbage failed, tried again');
  await repeat(turn, { idleMs: 0, signal, onError });
}
