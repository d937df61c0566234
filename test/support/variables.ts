import { EnvReader, type Env } from '@spillway/runtime';
import { readWorkerConfig } from '@spillway/worker';
import { readTracing } from '../../packages/runtime/src/telemetry/settings.ts';
import { readConfig as readApi } from '../../services/api/src/config.ts';
import { readConfig as readDispatcher } from '../../services/dispatcher/src/config.ts';
import type { ServiceName } from './service.ts';

/** What reads the environment of each service. */
export const READERS: Readonly<Record<ServiceName, (env: Env) => unknown>> = {
  api: readApi,
  dispatcher: readDispatcher,
  drafter: (env) => readWorkerConfig(env, 'drafter'),
  expert: (env) => readWorkerConfig(env, 'expert'),
};

/** What libraries read by themselves: the exporter its headers, the S3 client its credentials. */
const OF_LIBRARIES = ['OTEL_EXPORTER_OTLP_HEADERS'];
const OF_S3 = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION'];

/** With it the exporter's share is read too. */
const SAMPLER: Env = { OTEL_TRACES_SAMPLER: 'traceidratio' };

/** The names of all variables that a service reads, found by letting it read them; those that its YAML names are among them. */
export function variablesOf(service: ServiceName, config: string): Set<string> {
  const read = new Set(['LOG_LEVEL', ...OF_LIBRARIES]);
  const given: Env = { SPILLWAY_CONFIG: config, SPILLWAY_API_KEYS: 'x', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x' };
  const env = new Proxy(given, {
    get: (target, name) => {
      read.add(String(name));
      return target[String(name)];
    },
  });
  try {
    READERS[service](env);
  } catch {
    // What lacks is thrown at the end, when everything was read.
  }
  readTracing(new EnvReader(env));
  readTracing(new EnvReader(new Proxy(env, { get: (target, name) => target[String(name)] ?? SAMPLER[String(name)] })));
  if (service === 'api' || service === 'dispatcher') for (const name of OF_S3) read.add(name);
  return read;
}
