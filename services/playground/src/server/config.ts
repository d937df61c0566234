import type { LogLevel } from './log.ts';

export interface PlaygroundConfig {
  readonly host: string;
  /** 0 lets the system choose; the ready line says which it was. */
  readonly port: number;
  readonly logLevel: LogLevel;
  /** A folder that holds tokenizer.json and the two models. */
  readonly weights: URL;
}

const LOG_LEVELS = ['debug', 'info', 'error'] as const;

/** The only reader of this process's environment. */
export function readConfig(environment: NodeJS.ProcessEnv): PlaygroundConfig {
  const port = Number(environment['PORT'] ?? 8377);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`PORT must be a whole number from 0 to 65535, got ${JSON.stringify(environment['PORT'])}`);
  }
  const asked = environment['LOG_LEVEL'] ?? 'info';
  return {
    host: environment['HOST'] ?? '127.0.0.1',
    port,
    // Levels that other services know and this one does not (trace, warn) mean the nearest that it has.
    logLevel: LOG_LEVELS.find((level) => level === asked) ?? 'info',
    weights: new URL('../../weights/', import.meta.url),
  };
}
