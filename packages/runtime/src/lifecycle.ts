import { EnvReader, LOG_LEVELS, SetupError, type Env } from './env.ts';
import { openLog, type Log } from './log.ts';
import { openTelemetry, type Telemetry } from './telemetry/telemetry.ts';

/** Why a process or a call was told to stop; carried as `AbortSignal.reason`. */
export type StopReason = 'shutdown' | 'cancelled' | 'expired' | 'server_down' | 'call_lost';

/** What a service gets from its process. */
export type Life = {
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** Aborted, with the reason `shutdown`, when the process is told to stop. */
  readonly signal: AbortSignal;
  /** Registers a step of stopping; steps run last first. */
  defer(step: Step): void;
  /** Allows stopping to take so much longer. */
  allow(ms: number): void;
  /** Says in one log line that the service does its work now. */
  ready(fields: Readonly<Record<string, unknown>>): void;
  /** Stops the process because it cannot go on. */
  fail(error: unknown): void;
};

type Step = () => PromiseLike<void> | void;

/** What stopping takes beside what a service allowed for; a process that still hangs then is ended. */
const MAX_STOP_MS = 60_000;

/**
 * Runs a service as this process: logs, SIGTERM and SIGINT, errors at start as one line and exit code 1.
 * Resolves when the service has started.
 */
export async function runService(service: string, env: Env, start: (life: Life) => Promise<void>): Promise<void> {
  const reader = new EnvReader(env);
  const log = openLog(service, reader.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'));
  const steps: Step[] = [];
  const stop = new AbortController();
  let stopping: Promise<void> | null = null;
  let limitMs = MAX_STOP_MS;

  const end = (exitCode: number): Promise<void> => {
    stopping ??= (async () => {
      const limit = setTimeout(() => process.exit(1), limitMs);
      stop.abort('shutdown' satisfies StopReason);
      for (const step of steps.toReversed()) await attempt(step, log);
      clearTimeout(limit);
      log.info('stopped');
      process.exit(exitCode);
    })();
    return stopping;
  };
  const telemetry = await openTelemetry(reader, log);
  steps.push(() => telemetry[Symbol.asyncDispose]());
  const life: Life = {
    log,
    telemetry,
    signal: stop.signal,
    defer: (step) => void steps.push(step),
    allow: (ms) => void (limitMs += ms),
    ready: (fields) => log.info(fields, 'ready'),
    fail: (error) => {
      log.fatal({ err: error }, 'cannot go on');
      void end(1);
    },
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      log.info({ signal: name }, 'stopping');
      void end(0);
    });
  }
  for (const name of ['uncaughtException', 'unhandledRejection']) {
    process.on(name, (error: unknown) => life.fail(error));
  }
  try {
    reader.check();
    await start(life);
  } catch (error) {
    if (error instanceof SetupError) process.stderr.write(`spillway ${service}: ${error.message}\n`);
    else log.fatal({ err: error }, 'could not start');
    await end(1);
  }
}

async function attempt(step: Step, log: Log): Promise<void> {
  try {
    await step();
  } catch (error) {
    log.warn({ err: error }, 'a step of stopping failed');
  }
}
