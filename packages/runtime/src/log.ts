import { strictJsonText } from '@spillway/core';
import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino';
import { LogOutput, type LogWriter } from './log-output.ts';

export type Log = Logger;

/** A log that goes to a stream whose reader may be slow or gone; `flush` waits until its lines are written, at most so long. */
export type OpenLog = { readonly log: Log; readonly flush: (limitMs: number) => Promise<void> };

/** JSON lines; keys and bodies never belong in a field, the redaction is the second fence. */
export function openLog(service: string, level: string, to: DestinationStream = process.stdout): Log {
  const options = {
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: shownError },
    hooks: { streamWrite: strictJsonText },
    redact: { paths: ['apiKey', '*.apiKey', 'authorization', '*.authorization', 'headers'], remove: true },
  };
  return pino(options, to);
}

/** The log of a process, which goes to its stdout. Lines that nobody reads are dropped, and told of by their number. */
export function openProcessLog(service: string, level: string, to: LogWriter = process.stdout): OpenLog {
  const output = new LogOutput(to, (lines) =>
    log.warn({ lines }, 'lines of this log were dropped, as nobody read them'),
  );
  const log = openLog(service, level, output);
  return { log, flush: (limitMs) => output.flush(limitMs) };
}

/** An error without what libraries hang on it: of Redis, the command with its password or document; of HTTP, headers. */
function shownError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: String(thrown) };
  const { type, message, stack } = stdSerializers.err(thrown);
  const { code } = thrown as NodeJS.ErrnoException;
  const causes = thrown instanceof AggregateError ? { errors: thrown.errors.map(shownError) } : {};
  return { type, message, stack, ...(code === undefined ? {} : { code }), ...causes };
}
