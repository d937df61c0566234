import { repeat } from '@spillway/runtime';
import type { RunningCalls } from './running-calls.ts';

/** How often it is looked whether calls are silent. */
const TICK_MS = 500;

/** Calls of which none ended for so long, or for so many times as long as the slowest lately, are silent. */
const MIN_SILENCE_MS = 1_000;
const SILENT_TIMES = 2;

/** What is silent for longer is looked after in any case. */
const MAX_SILENCE_MS = 10_000;

/** For so long, or so many times as long as the slowest lately, no answer is on its way any more. */
const MIN_LOST_MS = 10_000;
const LOST_TIMES = 10;

export type SilenceWatchOptions = {
  readonly calls: RunningCalls;
  /** What the slowest of the last answers took; null: there was none. */
  readonly slowestMs: () => number | null;
  /** Why there is no server any more; null: there is one. */
  readonly look: (signal: AbortSignal) => Promise<string | null>;
  readonly onGone: (reason: string, lookedAtMs: number) => Promise<void>;
  /** Whether something small is answered meanwhile. */
  readonly isAnswering: (signal: AbortSignal) => Promise<boolean>;
  readonly onLost: (askedAtMs: number) => void;
  readonly onError: (error: unknown) => void;
};

/**
 * Looks whether there still is a server while its calls are silent. One that is being terminated takes no connection any
 * more, and keeps those of its calls open without answering them; with all of a worker's calls among them nobody would
 * find out before their time-out. Where another server has taken its place meanwhile, calls that are silent for very long
 * while something small is answered are taken for lost.
 */
export async function watchSilence(options: SilenceWatchOptions, signal: AbortSignal): Promise<void> {
  const { calls, slowestMs, look, onGone, isAnswering, onLost, onError } = options;
  let lookedAtMs = 0;
  const watch = async (): Promise<boolean> => {
    const now = performance.now();
    const slowest = slowestMs();
    const silentMs = calls.size === 0 ? 0 : now - calls.changedAtMs;
    const isSilent = silentMs >= Math.min(MAX_SILENCE_MS, Math.max(MIN_SILENCE_MS, SILENT_TIMES * (slowest ?? 0)));
    if (!isSilent || now - lookedAtMs < MIN_SILENCE_MS) return false;
    lookedAtMs = now;
    const reason = await look(signal);
    if (signal.aborted) return false;
    if (reason !== null) await onGone(reason, now);
    // How long answers take is not known before there was one.
    else if (slowest !== null && silentMs >= Math.max(MIN_LOST_MS, LOST_TIMES * slowest)) {
      if (await isAnswering(signal)) onLost(now);
      lookedAtMs = performance.now() + MIN_LOST_MS;
    }
    return false;
  };
  await repeat(watch, { idleMs: TICK_MS, signal, onError });
}
