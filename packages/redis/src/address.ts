import { SetupError } from '@spillway/runtime';
import { Cluster, Redis, type ClusterNode, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

const FORMS =
  'redis://host:6379, redis+sentinel://h1:26379,h2/name or redis+cluster://h1:6379,h2; with TLS rediss://, ' +
  'rediss+sentinel:// or rediss+cluster://';

/** Producers fail at once while Redis is away; workers wait for it. */
export type ClientUse = 'ask' | 'wait';

/** Makes a client for any of the address forms; it connects in the background. Throws SetupError for a bad address. */
export function connectRedis(address: string, use: ClientUse): RedisClient {
  const parsed = parseAddress(address);
  const patient = use === 'wait';
  const options = {
    maxRetriesPerRequest: patient ? null : 1,
    // A half-open connection is noticed by a command that is not answered.
    ...(patient ? {} : { commandTimeout: 10_000 }),
    connectTimeout: 10_000,
    keepAlive: 10_000,
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? (2 as const) : false),
  };
  if (parsed.kind === 'cluster') {
    return new Cluster(parsed.nodes, {
      redisOptions: { ...options, ...parsed.options },
      enableOfflineQueue: patient,
      clusterRetryStrategy: (times: number) => Math.min(100 * times, 2_000),
      // Certificates are of names: what the Cluster tells of its nodes must not be turned into addresses first.
      ...('tls' in parsed.options ? { dnsLookup: (name, callback) => callback(null, name) } : {}),
    });
  }
  const retryStrategy = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), 2_000);
  return new Redis({ ...parsed.options, ...options, enableOfflineQueue: patient, retryStrategy });
}

type Parsed =
  | { kind: 'single'; options: SingleOptions }
  | { kind: 'cluster'; nodes: ClusterNode[]; options: Login & Secure };

type Login = { username?: string; password?: string };

type Secure = { tls?: Record<string, never> };

type SentinelOptions = Pick<
  RedisOptions,
  'sentinels' | 'name' | 'sentinelUsername' | 'sentinelPassword' | 'sentinelTLS' | 'enableTLSForSentinelMode'
>;

type SingleOptions = Login & Secure & SentinelOptions & { host?: string; port?: number; db: number };

const FORM = /^redis(s?)(\+sentinel|\+cluster)?:\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/;

function parseAddress(address: string): Parsed {
  const match = FORM.exec(address);
  if (match === null) throw new SetupError(`REDIS_URL: expected ${FORMS}`);
  const [, tls, kind, credentials, hosts = '', path = '', query = ''] = match;
  const secure = tls === 's' ? { tls: {} } : {};
  const login = credentialsOf(credentials);
  const parameters = parametersOf(query, kind === '+sentinel' ? ['sentinel_username', 'sentinel_password', 'db'] : []);
  const nodes = hosts.split(',').map((host) => hostOf(host, kind === '+sentinel' ? 26_379 : 6_379));
  if (kind === '+sentinel') {
    if (path === '')
      throw new SetupError('REDIS_URL: redis+sentinel:// needs the name of the master: redis+sentinel://h1,h2/name');
    const db = databaseOf(parameters.get('db') ?? '');
    return {
      kind: 'single',
      options: { ...login, ...secure, ...sentinelOf(parameters, tls), sentinels: nodes, name: path, db },
    };
  }
  if (kind === '+cluster') {
    if (path !== '') throw new SetupError('REDIS_URL: a Cluster has no database numbers: redis+cluster://h1:6379,h2');
    return { kind: 'cluster', nodes, options: { ...login, ...secure } };
  }
  const [node] = nodes;
  if (nodes.length !== 1 || node === undefined) throw new SetupError(`REDIS_URL: expected one host, or ${FORMS}`);
  return { kind: 'single', options: { ...login, ...node, ...secure, db: databaseOf(path) } };
}

/** Sentinels have a login of their own; with TLS they are asked over TLS too. */
function sentinelOf(parameters: URLSearchParams, tls: string | undefined): SentinelOptions {
  const username = parameters.get('sentinel_username');
  const password = parameters.get('sentinel_password');
  return {
    ...(username === null ? {} : { sentinelUsername: username }),
    ...(password === null ? {} : { sentinelPassword: password }),
    ...(tls === 's' ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  };
}

function parametersOf(query: string, known: readonly string[]): URLSearchParams {
  const parameters = new URLSearchParams(query);
  const unknown = [...parameters.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const expected = known.length === 0 ? 'nothing after "?"' : `one of ${known.join(', ')} after "?"`;
    throw new SetupError(`REDIS_URL: expected ${expected}, got "${unknown}"`);
  }
  return parameters;
}

function databaseOf(text: string): number {
  if (!/^\d{0,2}$/.test(text)) throw new SetupError(`REDIS_URL: expected a database number, got "${text}"`);
  return Number(text || 0);
}

function credentialsOf(text: string | undefined): Login {
  if (text === undefined || text === '') return {};
  const at = text.indexOf(':');
  if (at === -1) return { password: decoded(text) };
  const username = decoded(text.slice(0, at));
  const password = decoded(text.slice(at + 1));
  return username === '' ? { password } : { username, password };
}

/** What is special in an address stands in it as %40 for @, %2F for /, %25 for %. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new SetupError('REDIS_URL: expected the user and the password percent-encoded (% itself as %25)', {
      cause: error,
    });
  }
}

function hostOf(text: string, fallbackPort: number): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? fallbackPort);
  if (match?.[1] === undefined || port < 1 || port > 65_535) throw new SetupError(`REDIS_URL: expected ${FORMS}`);
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

/** An address for logs: without credentials. */
export function shownAddress(address: string): string {
  return address.replace(/\/\/[^@/]*@/, '//').replace(/\?.*$/, '');
}
