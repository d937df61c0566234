import { strictJsonText } from '@spillway/core';
import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino';

export type Log = Logger;

/** JSON lines on stdout; keys and bodies never belong in a field, the redaction is the second fence. */
export function openLog(service: string, level: string, to?: DestinationStream): Log {
  const options = {
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: shownError },
    hooks: { streamWrite: strictJsonText },
    redact: { paths: ['apiKey', '*.apiKey', 'authorization', '*.authorization', 'headers'], remove: true },
  };
  return to === undefined ? pino(options) : pino(options, to);
}

/** An error without what libraries hang on it: of Redis, the command with its password or document; of HTTP, headers. */
function shownError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: String(thrown) };
  const { type, message, stack } = stdSerializers.err(thrown);
  const { code } = thrown as NodeJS.ErrnoException;
  const causes = thrown instanceof AggregateError ? { errors: thrown.errors.map(shownError) } : {};
  return { type, message, stack, ...(code === undefined ? {} : { code }), ...causes };
}
