import { flushCompileCache } from 'node:module';
import { within } from './deadline.ts';
import { EnvReader, LOG_LEVELS, SetupError, type Env } from './env.ts';
import { openProcessLog, type Log } from './log.ts';
import { endProcess, endProcessNow, exitCodeOf } from './process-end.ts';
import { onStopSignals } from './stop-signals.ts';
import { openTelemetry, type Telemetry } from './telemetry/telemetry.ts';

/** Why a process or a call was told to stop; carried as `AbortSignal.reason`. */
export type StopReason = 'shutdown' | 'cancelled' | 'expired' | 'server_down' | 'call_lost';

/** What a service gets from its process. */
export type Life = {
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** Aborted, with the reason `shutdown`, when the process is told to stop. */
  readonly signal: AbortSignal;
  /** Registers a step of stopping; steps run last first. One that takes longer than its limit is left alone. */
  defer(step: Step, limitMs?: number): void;
  /** Allows stopping to take so much longer. */
  allow(ms: number): void;
  /** Says in one log line that the service does its work now. */
  ready(fields: Readonly<Record<string, unknown>>): void;
  /** Stops the process because it cannot go on. */
  fail(error: unknown): void;
};

type Step = () => PromiseLike<void> | void;

/**
 * What stopping takes at most beside what a service allowed for, whatever is away: Redis, storage, the collector, or who
 * reads its log. A process that still hangs then is ended. `stop_grace_period` and `terminationGracePeriodSeconds` are longer.
 */
export const MAX_STOP_MS = 15_000;

/** Closing something takes milliseconds; what is away is not waited for. */
const MAX_STEP_MS = 5_000;

/** So long somebody has to read the last lines of the log. */
const MAX_FLUSH_MS = 1_000;

/**
 * Runs a service as this process: logs, SIGTERM and SIGINT, errors at start as one line and exit code 1. A second signal
 * ends it at once. Resolves when the service has started.
 */
export async function runService(service: string, env: Env, start: (life: Life) => Promise<void>): Promise<void> {
  const reader = new EnvReader(env);
  const { log, flush } = openProcessLog(service, reader.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'));
  // What libraries say there is no reason to end when nobody reads it.
  process.stderr.on('error', () => undefined);
  const steps: { readonly step: Step; readonly limitMs: number }[] = [];
  const stop = new AbortController();
  let stopping: Promise<void> | null = null;
  let limitMs = MAX_STOP_MS;

  const end = (exitCode: number): Promise<void> => {
    stopping ??= (async () => {
      const limit = setTimeout(() => endProcessNow(1), limitMs);
      stop.abort('shutdown' satisfies StopReason);
      for (const one of steps.toReversed()) await attempt(one.step, one.limitMs, log);
      log.info('stopped');
      await flush(MAX_FLUSH_MS);
      await endProcess(exitCode);
      clearTimeout(limit);
    })();
    return stopping;
  };
  const telemetry = await openTelemetry(service, reader, log);
  steps.push({ step: () => telemetry[Symbol.asyncDispose](), limitMs: MAX_STEP_MS });
  const life: Life = {
    log,
    telemetry,
    signal: stop.signal,
    defer: (step, stepMs = MAX_STEP_MS) => void steps.push({ step, limitMs: stepMs }),
    allow: (ms) => void (limitMs += ms),
    ready: (fields) => log.info(fields, 'ready'),
    fail: (error) => {
      log.fatal({ err: error }, 'cannot go on');
      void end(1);
    },
  };
  onStopSignals(['SIGTERM', 'SIGINT'], {
    onFirst: (name) => {
      log.info({ signal: name }, 'stopping');
      void end(0);
    },
    onSecond: (name) => endProcessNow(exitCodeOf(name)),
  });
  for (const name of ['uncaughtException', 'unhandledRejection']) {
    process.on(name, (error: unknown) => life.fail(error));
  }
  try {
    reader.check();
    await start(life);
    telemetry.meters.watchLoop();
    // Where NODE_COMPILE_CACHE names a folder, Node writes to it as it ends, and so never in a process that is killed.
    flushCompileCache();
  } catch (error) {
    if (error instanceof SetupError) process.stderr.write(`spillway ${service}: ${error.message}\n`);
    else log.fatal({ err: error }, 'could not start');
    await end(1);
  }
}

async function attempt(step: Step, limitMs: number, log: Log): Promise<void> {
  try {
    await within(limitMs, Promise.try(step));
  } catch (error) {
    log.warn({ err: error }, 'a step of stopping failed');
  }
}
