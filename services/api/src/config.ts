import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LIMITS, readConfiguration, type Configuration } from '@spillway/core';
import { EnvReader, type Env } from '@spillway/runtime';

/** Where keys are kept when nothing else is said. */
const DEFAULT_KEY_FILE = '.spillway/keys.jsonl';

export type ApiConfig = {
  readonly host: string;
  readonly port: number;
  readonly redisUrl: string;
  readonly namespace: string;
  readonly storageAddress: string;
  /** Null: no keys, everything belongs to one tenant. */
  readonly keyFile: string | null;
  readonly uploadBytes: number;
  readonly configuration: Configuration;
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
  const configuration = readCascades(reader);
  const config: ApiConfig = {
    host,
    port: reader.integer('PORT', { fallback: 8080, min: 0, max: 65_535 }),
    redisUrl: reader.text('REDIS_URL') ?? 'redis://127.0.0.1:6379',
    namespace: reader.text('SPILLWAY_NAMESPACE') ?? 'spillway',
    storageAddress: readStorageAddress(reader),
    keyFile,
    uploadBytes: reader.integer('SPILLWAY_MAX_UPLOAD_BYTES', { fallback: LIMITS.uploadBytes, min: 1, max: 2 ** 40 }),
    ...configuration,
  };
  reader.check();
  return config;
}

/** Where `npm run keys` keeps them. */
export function keyFileOf(env: Env): string {
  return new EnvReader(env).text('SPILLWAY_API_KEYS') ?? DEFAULT_KEY_FILE;
}

/** Whether nobody but this machine reaches what listens on this host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function readStorageAddress(reader: EnvReader): string {
  const directory = reader.text('SPILLWAY_DATA_DIR');
  const address = reader.text('SPILLWAY_STORAGE');
  if ((directory === null) === (address === null)) {
    reader.problem(
      'SPILLWAY_DATA_DIR, SPILLWAY_STORAGE: expected exactly one of them, ' +
        'a directory or an address (file:///… or s3://bucket/prefix)',
    );
    return '';
  }
  return directory === null ? (address ?? '') : pathToFileURL(resolve(directory)).href;
}

const NO_CASCADES = { configuration: { models: {}, cascades: {} }, configuredAtMs: 0 };

function readCascades(reader: EnvReader): Pick<ApiConfig, 'configuration' | 'configuredAtMs'> {
  const path = reader.text('SPILLWAY_CONFIG');
  if (path === null) {
    reader.problem('SPILLWAY_CONFIG: expected the path of the YAML file that declares models and cascades');
    return NO_CASCADES;
  }
  try {
    const read = readConfiguration(readFileSync(path, 'utf8'));
    if (read.kind === 'valid') {
      return { configuration: read.configuration, configuredAtMs: Math.floor(statSync(path).mtimeMs) };
    }
    for (const { path: place, expected } of read.problems) {
      reader.problem(`${path}: ${place}: ${expected.includes('expected') ? expected : `expected ${expected}`}`);
    }
  } catch (error) {
    reader.problem(`SPILLWAY_CONFIG: cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
  return NO_CASCADES;
}
