import { LOG_LEVELS, type Env } from '@spillway/runtime';
import { describeLog, type LogFields, type ProcessLine } from './process.ts';

const QUIET = 'warn';

/** Turns the logs of the processes into lines for a person; LOG_LEVEL decides which are shown, warnings and up else. */
export function logView(env: Env, write: (line: string) => void): (line: ProcessLine) => void {
  const asked = LOG_LEVELS.find((level) => level === env['LOG_LEVEL']) ?? QUIET;
  const max = LOG_LEVELS.indexOf(asked);
  return (line) => {
    if (line.kind === 'text') {
      // What is no log line is a problem at the start, reported as the reason of the end, or a warning of Node's own.
      if (max >= LOG_LEVELS.indexOf('debug')) write(`${line.service.padEnd(10)} ${line.text}`);
      return;
    }
    const level = LOG_LEVELS.findIndex((name) => name === line.level);
    if (level > max) return;
    const text = describeLog(line.message, line.fields);
    write(`${line.service.padEnd(10)} ${line.level.padEnd(5)} ${text}${describeFields(line.fields)}`);
  };
}

function describeFields(fields: LogFields): string {
  const shown = Object.entries(fields)
    .filter(([name, value]) => name !== 'err' && name !== 'error' && value !== null && value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return shown.length === 0 ? '' : ` (${shown.join(', ')})`;
}
