import { modelsOfRole, type Configuration, type Role } from '@spillway/core';
import {
  apiKeyOf,
  drainMs,
  EnvReader,
  healthPlace,
  loadConfiguration,
  loggedShare,
  NO_CONFIGURATION,
  type Env,
  type HealthPlace,
  type ServedModel,
} from '@spillway/runtime';

export type WorkerConfig = {
  readonly redis: string;
  readonly namespace: string;
  /** All of it; a worker meets the names of models that others serve. */
  readonly configuration: Configuration;
  readonly models: readonly ServedModel[];
  /** Of probes and metrics; null for none. */
  readonly health: HealthPlace | null;
  /** How long a job stays with a worker that went silent. */
  readonly lockMs: number;
  readonly drainMs: number;
  /** The share of attempts that are logged, besides those that failed. */
  readonly loggedShare: number;
  /** Whether each model is checked at start. */
  readonly checksModels: boolean;
};

/** Reads the environment of a worker of one role; throws one SetupError with all its problems. */
export function readWorkerConfig(env: Env, role: Role): WorkerConfig {
  const reader = new EnvReader(env);
  const configuration = loadConfiguration(reader);
  const config: WorkerConfig = {
    redis: reader.text('REDIS_URL') ?? 'redis://127.0.0.1:6379',
    namespace: reader.text('SPILLWAY_NAMESPACE') ?? 'spillway',
    configuration: configuration ?? NO_CONFIGURATION,
    models: configuration === null ? [] : servedModels(reader, configuration, role),
    health: healthPlace(reader),
    lockMs: reader.integer('SPILLWAY_LOCK_MS', { fallback: 30_000, min: 500, max: 3_600_000 }),
    drainMs: drainMs(reader),
    loggedShare: loggedShare(reader),
    checksModels: reader.oneOf('SPILLWAY_CHECK_MODELS', ['on', 'off'], 'on') === 'on',
  };
  reader.check();
  return config;
}

/** The models of a role, or those of them that SPILLWAY_MODELS names, with their keys. */
function servedModels(reader: EnvReader, configuration: Configuration, role: Role): ServedModel[] {
  const names = modelsOfRole(Object.values(configuration.cascades), role);
  const chosen = reader.list('SPILLWAY_MODELS');
  for (const name of chosen ?? []) {
    if (!names.includes(name)) {
      reader.problem(
        `SPILLWAY_MODELS: expected models that are a cascade's ${role} (${names.join(', ')}), got "${name}"`,
      );
    }
  }
  return withKeys(
    reader,
    configuration,
    names.filter((name) => chosen === null || chosen.includes(name)),
  );
}

/** Models by their names in the configuration, with their keys. */
export function withKeys(reader: EnvReader, configuration: Configuration, names: readonly string[]): ServedModel[] {
  return names.flatMap((name) => {
    const spec = configuration.models[name];
    return spec === undefined ? [] : [{ name, spec, apiKey: apiKeyOf(reader, name, spec) }];
  });
}
