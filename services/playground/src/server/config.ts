import type { LogLevel } from './log.ts';
import { DEFAULT_MODELS, PLAYGROUND_MODELS } from './models.ts';

export interface PlaygroundConfig {
  readonly host: string;
  /** 0 lets the system choose; the ready line says which it was. */
  readonly port: number;
  readonly logLevel: LogLevel;
  /** The names of the models to load. */
  readonly models: readonly string[];
  /** A folder that holds a tokenizer.json and two models, and a folder for each further pair. */
  readonly weights: URL;
}

const LOG_LEVELS = ['debug', 'info', 'error'] as const;

/** `SERVED_MODELS`: names with commas between them. */
function readModels(text: string | undefined): readonly string[] {
  const names = (text ?? '').split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]));
  const unknown = names.filter((name) => !PLAYGROUND_MODELS.has(name));
  if (unknown.length > 0) {
    const known = [...PLAYGROUND_MODELS.keys()].join(', ');
    throw new Error(`SERVED_MODELS names ${unknown.join(', ')}; there are ${known}`);
  }
  return names.length === 0 ? DEFAULT_MODELS : [...new Set(names)];
}

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
    models: readModels(environment['SERVED_MODELS']),
    weights: new URL('../../weights/', import.meta.url),
  };
}
