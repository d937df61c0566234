import { pino, type Logger } from 'pino';

export type Log = Logger;

/** JSON lines on stdout; keys and bodies never belong in a field, the redaction is the second fence. */
export function openLog(service: string, level: string): Log {
  return pino({
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: ['apiKey', '*.apiKey', 'authorization', '*.authorization', 'headers'], remove: true },
  });
}
