import { fileURLToPath } from 'node:url';
import type { Configuration } from '@spillway/core';
import { LOG_LEVELS, type Env } from '@spillway/runtime';
import { DEFAULT_MODELS, PLAYGROUND_MODELS } from '../server/models.ts';
import type { Member } from './system.ts';

/** What the services of one system have in common. */
export type Surroundings = {
  /** The environment of whoever started us; each service is given only what it reads. */
  readonly env: Env;
  readonly configPath: string;
  readonly configuration: Configuration;
  readonly redisUrl: string;
  /** SPILLWAY_DATA_DIR or SPILLWAY_STORAGE. */
  readonly storage: Env;
};

const SCRIPTS = {
  api: '../../../api/src/main.ts',
  dispatcher: '../../../dispatcher/src/main.ts',
  drafter: '../../../drafter/src/main.ts',
  expert: '../../../expert/src/main.ts',
  playground: '../server/main.ts',
} as const;

type Service = keyof typeof SCRIPTS;

/** The playground outlives the workers that ask it, these outlive nothing but the API that gives them work. */
const LEVELS: Readonly<Record<Service, number>> = { playground: 1, dispatcher: 2, drafter: 2, expert: 2, api: 3 };

/** The settings of telemetry and of Spillway itself that all services may read, beside what is set for them here. */
const SHARED = /^(OTEL_|SPILLWAY_(?!API_KEYS|CONFIG|DATA_DIR|STORAGE))/;

/** The S3 client finds its credentials by itself. */
const OBJECT_STORE = /^AWS_/;

function pick(env: Env, pattern: RegExp): Env {
  return Object.fromEntries(Object.entries(env).filter(([name]) => pattern.test(name)));
}

/** The variables that the configuration names, as far as they are set. */
function named(env: Env, names: readonly (string | undefined)[]): Env {
  return Object.fromEntries(
    names.flatMap((name) => (name === undefined || env[name] === undefined ? [] : [[name, env[name]]])),
  );
}

function member(service: Service, env: Env): Member {
  const script = fileURLToPath(new URL(SCRIPTS[service], import.meta.url));
  return { service, script, level: LEVELS[service], env };
}

/** What a process must log so that we see it become ready; the user may ask for more, not for less. */
function childLogLevel(env: Env): string {
  const asked = LOG_LEVELS.findIndex((level) => level === env['LOG_LEVEL']);
  return LOG_LEVELS[Math.max(asked, LOG_LEVELS.indexOf('info'))] ?? 'info';
}

/** The embedded models, on this port of loopback; without names those of the quick start. */
export function playgroundMember(env: Env, port: number, models: readonly string[] = []): Member {
  return member('playground', {
    SERVED_MODELS: models.join(','),
    ...pick(env, SHARED),
    LOG_LEVEL: childLogLevel(env),
    HOST: '127.0.0.1',
    PORT: String(port),
  });
}

/** The API, a dispatcher, and a drafter and an expert that serve every model of their role. */
export function serviceMembers(surroundings: Surroundings, api: { host: string; port: number }): Member[] {
  const { env, configPath, configuration, redisUrl, storage } = surroundings;
  const shared = {
    ...pick(env, SHARED),
    LOG_LEVEL: childLogLevel(env),
    SPILLWAY_CONFIG: configPath,
    REDIS_URL: redisUrl,
  };
  const stored = { ...shared, ...pick(env, OBJECT_STORE), ...storage };
  const models = Object.values(configuration.models).map((model) => model.api_key_env);
  const modelKeys = named(env, models);
  const hooks = Object.values(configuration.webhooks).map((webhook) => webhook.secret_env);
  return [
    member('api', {
      ...stored,
      HOST: api.host,
      PORT: String(api.port),
      ...modelKeys,
      SPILLWAY_API_KEYS: env['SPILLWAY_API_KEYS'],
    }),
    member('dispatcher', { ...stored, ...named(env, hooks) }),
    member('drafter', { ...shared, ...modelKeys }),
    member('expert', { ...shared, ...modelKeys }),
  ];
}

/** A playground that is wanted: a port on loopback, and the models that are asked for there. */
export type WantedPlayground = { readonly port: number; readonly models: readonly string[] };

/** Where this configuration expects the playground, with the usual two models and whichever else it names. */
export function wantedPlaygrounds(configuration: Configuration): WantedPlayground[] {
  const wanted = new Map<number, Set<string>>();
  for (const { base_url, model } of Object.values(configuration.models)) {
    const url = new URL(base_url);
    const here = url.hostname === '127.0.0.1' || url.hostname === 'localhost';
    if (!here || url.protocol !== 'http:' || !PLAYGROUND_MODELS.has(model)) continue;
    const port = Number(url.port || 80);
    wanted.set(port, (wanted.get(port) ?? new Set(DEFAULT_MODELS)).add(model));
  }
  return [...wanted].map(([port, models]) => ({ port, models: [...models] }));
}
