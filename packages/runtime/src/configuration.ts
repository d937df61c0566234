import { readFileSync } from 'node:fs';
import { readConfiguration, type Configuration, type ModelSpec } from '@spillway/core';
import { EnvReader, type Env } from './env.ts';

/** Reads the YAML file that `SPILLWAY_CONFIG` names; every problem goes to the reader, with the file and the path. */
export function loadConfiguration(reader: EnvReader): Configuration | null {
  const path = reader.text('SPILLWAY_CONFIG');
  if (path === null) {
    reader.problem('SPILLWAY_CONFIG: expected the path of a spillway.yaml with models and cascades');
    return null;
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    reader.problem(`SPILLWAY_CONFIG: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
    return null;
  }
  const read = readConfiguration(text);
  if (read.kind === 'valid') return read.configuration;
  for (const problem of read.problems) reader.problem(`${path}: ${problem.path}: ${problem.expected}`);
  return null;
}

/** A model that a worker serves, with its key. */
export type ServedModel = { readonly name: string; readonly spec: ModelSpec; readonly apiKey: string | null };

export type WorkerConfig = {
  readonly redis: string;
  readonly namespace: string;
  /** All of it; a worker meets the names of models that others serve. */
  readonly configuration: Configuration;
  readonly models: readonly ServedModel[];
  readonly host: string;
  readonly healthPort: number | null;
  readonly lockMs: number;
  readonly drainMs: number;
};

const NOTHING: Configuration = { models: {}, cascades: {}, webhooks: {} };

/** Reads the environment of a worker of one role; throws one SetupError with all its problems. */
export function readWorkerConfig(env: Env, role: 'drafter' | 'expert'): WorkerConfig {
  const reader = new EnvReader(env);
  const configuration = loadConfiguration(reader);
  const healthPort = reader.integer('HEALTH_PORT', { fallback: -1, min: 0, max: 65_535 });
  const config: WorkerConfig = {
    redis: reader.text('REDIS_URL') ?? 'redis://127.0.0.1:6379',
    namespace: reader.text('SPILLWAY_NAMESPACE') ?? 'spillway',
    configuration: configuration ?? NOTHING,
    models: configuration === null ? [] : servedModels(reader, configuration, role),
    host: reader.text('HOST') ?? '127.0.0.1',
    healthPort: healthPort === -1 ? null : healthPort,
    lockMs: reader.integer('SPILLWAY_LOCK_MS', { fallback: 30_000, min: 500, max: 3_600_000 }),
    drainMs: drainMs(reader),
  };
  reader.check();
  return config;
}

/** How long what is in hand may still take when the process is told to stop. */
export function drainMs(reader: EnvReader): number {
  return reader.integer('SPILLWAY_DRAIN_MS', { fallback: 25_000, min: 0, max: 3_600_000 });
}

function servedModels(reader: EnvReader, configuration: Configuration, role: 'drafter' | 'expert'): ServedModel[] {
  const roles = new Set(Object.values(configuration.cascades).map((cascade) => cascade[role]));
  const chosen = reader.list('SPILLWAY_MODELS');
  for (const name of chosen ?? []) {
    if (!roles.has(name)) {
      const known = [...roles].join(', ');
      reader.problem(`SPILLWAY_MODELS: expected models that are a cascade's ${role} (${known}), got "${name}"`);
    }
  }
  return [...roles]
    .filter((name) => chosen === null || chosen.includes(name))
    .flatMap((name) => {
      const spec = configuration.models[name];
      return spec === undefined ? [] : [{ name, spec, apiKey: apiKeyOf(reader, name, spec) }];
    });
}

function apiKeyOf(reader: EnvReader, name: string, spec: ModelSpec): string | null {
  if (spec.api_key_env === undefined) return null;
  const key = headerText(reader, spec.api_key_env);
  if (key === null) {
    reader.problem(`${spec.api_key_env}: expected the API key of the model ${name} (models.${name}.api_key_env)`);
  }
  return key;
}

/** A variable that goes into a header, which takes no line breaks and nothing beyond Latin-1; it is never shown. */
export function headerText(reader: EnvReader, variable: string): string | null {
  const text = reader.text(variable);
  if (text !== null && !/^[\t\x20-\x7e\xa0-\xff]*$/.test(text))
    reader.problem(`${variable}: expected no line break and no character that an HTTP header cannot hold`);
  return text;
}
