import { LogOutput } from '@spillway/runtime';

export type LogLevel = 'debug' | 'info' | 'error';
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

const WEIGHT: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, error: 2 };

/** One JSON line per event that is at least as grave as `lowest`. */
export function createLog(lowest: LogLevel): Log {
  const log: Log = (level, message, fields = {}) => {
    if (WEIGHT[level] < WEIGHT[lowest]) return;
    const line = { level, time: new Date().toISOString(), service: 'playground', msg: message, ...fields };
    output.write(`${JSON.stringify(line)}\n`);
  };
  const output = new LogOutput(process.stdout, (lines) => log('error', 'lines of this log were dropped', { lines }));
  return log;
}
