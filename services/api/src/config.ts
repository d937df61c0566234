import { statSync } from 'node:fs';
import { LIMITS, type Configuration } from '@spillway/core';
import {
  Calibrations,
  drainMs,
  EnvReader,
  headerText,
  healthPlace,
  inputLimits,
  isLoopback,
  loadConfiguration,
  loggedShare,
  NO_CONFIGURATION,
  storageAddress,
  type Env,
  type HealthPlace,
  type InputLimits,
  type Log,
  type ServedModel,
} from '@spillway/runtime';
import type { UploadLimits } from './files/upload.ts';

/** Where keys are, unless SPILLWAY_API_KEYS says otherwise. */
const DEFAULT_KEY_FILE = '.spillway/keys.jsonl';

/** A model as this process may call it. Its key may be lacking: then the model is not asked for direct answers. */
export type CallableModel = Omit<ServedModel, 'apiKey'> & {
  readonly apiKey: string | null | { readonly lacking: string };
};

export type ApiConfig = {
  readonly host: string;
  readonly port: number;
  /** Of probes and metrics without a key; null for none. */
  readonly health: HealthPlace | null;
  readonly redisUrl: string;
  readonly namespace: string;
  readonly storageAddress: string;
  /** Null: no keys, everything belongs to one tenant. */
  readonly keyFile: string | null;
  readonly limits: UploadLimits & { readonly bodyMs: number };
  /** Of a batch that a dry run looks at, as of one that the dispatcher validates. */
  readonly inputLimits: InputLimits;
  /** How long requests in work may still take when the process has to stop. */
  readonly drainMs: number;
  readonly configuration: Configuration;
  /** Reads the calibrations that the configuration names; throws one SetupError with all that is wrong with them. */
  readonly calibrations: (log: Log) => Calibrations;
  readonly models: readonly CallableModel[];
  /** Where people look at traces; null: nobody said. */
  readonly jaegerUrl: string | null;
  readonly corsOrigins: readonly string[];
  /** Whether bull-board is served to admins. */
  readonly servesBullBoard: boolean;
  /** The share of attempts at direct answers that are logged, besides those that failed. */
  readonly loggedShare: number;
  /** When the configuration was written; shown as the time a model was made. */
  readonly configuredAtMs: number;
};

/** Reads what the API is started with; throws one SetupError with everything that is wrong. */
export function readConfig(env: Env): ApiConfig {
  const reader = new EnvReader(env);
  const keyFile = reader.text('SPILLWAY_API_KEYS');
  const host = reader.text('HOST') ?? '127.0.0.1';
  if (keyFile === null && !isLoopback(host)) {
    reader.problem(
      `HOST: without keys the API listens on loopback only, got "${host}": make keys with ` +
        '`npm run keys -- add --tenant NAME` and set SPILLWAY_API_KEYS to their file',
    );
  }
  const configuration = loadConfiguration(reader);
  const config: ApiConfig = {
    host,
    port: reader.integer('PORT', { fallback: 8080, min: 0, max: 65_535 }),
    health: healthPlace(reader),
    redisUrl: reader.text('REDIS_URL') ?? 'redis://127.0.0.1:6379',
    namespace: reader.text('SPILLWAY_NAMESPACE') ?? 'spillway',
    storageAddress: storageAddress(reader),
    keyFile,
    limits: {
      uploadBytes: reader.integer('SPILLWAY_MAX_UPLOAD_BYTES', { fallback: LIMITS.uploadBytes, min: 1, max: 2 ** 40 }),
      uploadIdleMs: LIMITS.uploadIdleMs,
      bodyMs: LIMITS.bodyMs,
    },
    inputLimits: inputLimits(reader),
    drainMs: drainMs(reader),
    models: configuration === null ? [] : callableModels(reader, configuration),
    loggedShare: loggedShare(reader),
    jaegerUrl: webAddress(reader, 'JAEGER_UI_URL'),
    servesBullBoard: reader.oneOf('SPILLWAY_BULL_BOARD', ['on', 'off'], 'off') === 'on',
    corsOrigins: reader.list('SPILLWAY_CORS_ORIGINS') ?? (keyFile === null ? [] : ['*']),
    configuration: configuration ?? NO_CONFIGURATION,
    calibrations: (log) => {
      const read = Calibrations.load(reader, config.configuration, log);
      reader.check();
      return read;
    },
    configuredAtMs: readTime(reader),
  };
  reader.check();
  return config;
}

/** The key file that `npm run keys` edits. */
export function keyFileOf(env: Env): string {
  return new EnvReader(env).text('SPILLWAY_API_KEYS') ?? DEFAULT_KEY_FILE;
}

/** The models with their keys, as far as this process has them: only direct answers need one. */
function callableModels(reader: EnvReader, configuration: Configuration): CallableModel[] {
  return Object.entries(configuration.models).map(([name, spec]) => {
    const variable = spec.api_key_env;
    const apiKey = variable === undefined ? null : (headerText(reader, variable) ?? { lacking: variable });
    return { name, spec, apiKey };
  });
}

/** When the configuration was written. */
function readTime(reader: EnvReader): number {
  const path = reader.text('SPILLWAY_CONFIG');
  const found = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
  return Math.floor(found?.mtimeMs ?? 0);
}

/** The address of a page, without the slash at its end. */
function webAddress(reader: EnvReader, name: string): string | null {
  const text = reader.text(name);
  if (text === null) return null;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    reader.problem(`${name}: expected an address such as http://localhost:16686, got "${text}"`);
    return null;
  }
  return `${url.origin}${url.pathname.replace(/\/$/, '')}`;
}
