import { SetupError } from '@spillway/runtime';
import { Cluster, Redis, type ClusterNode, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

const FORMS = 'redis://host:6379, rediss://host:6379, redis+sentinel://h1:26379,h2/name or redis+cluster://h1:6379,h2';

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
      redisOptions: { ...options, ...parsed.login },
      enableOfflineQueue: patient,
      clusterRetryStrategy: (times: number) => Math.min(100 * times, 2_000),
    });
  }
  const retryStrategy = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), 2_000);
  return new Redis({ ...parsed.options, ...options, enableOfflineQueue: patient, retryStrategy });
}

type Parsed = { kind: 'single'; options: SingleOptions } | { kind: 'cluster'; nodes: ClusterNode[]; login: Login };

type SingleOptions = Login & Pick<RedisOptions, 'sentinels' | 'name' | 'host' | 'port' | 'db' | 'tls'>;

type Login = { username?: string; password?: string };

function parseAddress(address: string): Parsed {
  const match = /^(redis|rediss|redis\+sentinel|redis\+cluster):\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?$/.exec(
    address,
  );
  if (match === null) throw new SetupError(`REDIS_URL: expected ${FORMS}`);
  const [, scheme, credentials, hosts = '', path = ''] = match;
  const login = credentialsOf(credentials);
  const nodes = hosts.split(',').map((host) => hostOf(host, scheme === 'redis+sentinel' ? 26_379 : 6_379));
  if (scheme === 'redis+sentinel') {
    if (path === '')
      throw new SetupError('REDIS_URL: redis+sentinel:// needs the name of the master: redis+sentinel://h1,h2/name');
    return { kind: 'single', options: { ...login, sentinels: nodes, name: path } };
  }
  if (scheme === 'redis+cluster') return { kind: 'cluster', nodes, login };
  const [node] = nodes;
  if (nodes.length !== 1 || node === undefined) throw new SetupError(`REDIS_URL: expected one host, or ${FORMS}`);
  if (!/^\d{0,2}$/.test(path))
    throw new SetupError(`REDIS_URL: expected a database number after the host, got "${path}"`);
  return {
    kind: 'single',
    options: { ...login, ...node, db: Number(path || 0), ...(scheme === 'rediss' ? { tls: {} } : {}) },
  };
}

function credentialsOf(text: string | undefined): Login {
  if (text === undefined || text === '') return {};
  const at = text.indexOf(':');
  if (at === -1) return { password: decodeURIComponent(text) };
  const username = decodeURIComponent(text.slice(0, at));
  const password = decodeURIComponent(text.slice(at + 1));
  return username === '' ? { password } : { username, password };
}

function hostOf(text: string, fallbackPort: number): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? fallbackPort);
  if (match?.[1] === undefined || port < 1 || port > 65_535) throw new SetupError(`REDIS_URL: expected ${FORMS}`);
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

/** An address for logs: without credentials. */
export function shownAddress(address: string): string {
  return address.replace(/\/\/[^@/]*@/, '//');
}
