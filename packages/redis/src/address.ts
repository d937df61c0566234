import { SetupError } from '@spillway/runtime';
import type { ClusterNode, RedisOptions } from 'ioredis';

const FORMS =
  'redis://host:6379, redis+sentinel://h1:26379,h2/name or redis+cluster://h1:6379,h2; with TLS rediss://, ' +
  'rediss+sentinel:// or rediss+cluster://';

const ENCODED = '@ as %40, / as %2F, ? as %3F, # as %23, % itself as %25';

/** What a client needs to know of where Redis is. */
export type RedisAddress =
  | { readonly kind: 'single'; readonly options: SingleOptions }
  | { readonly kind: 'cluster'; readonly nodes: ClusterNode[]; readonly options: Login & Secure };

type Login = { username?: string; password?: string };

type Secure = { tls?: Record<string, never> };

type SentinelOptions = Pick<
  RedisOptions,
  'sentinels' | 'name' | 'sentinelUsername' | 'sentinelPassword' | 'sentinelTLS' | 'enableTLSForSentinelMode'
>;

type SingleOptions = Login & Secure & SentinelOptions & { host?: string; port?: number; db: number };

/** The parts of an address, none of them understood yet. */
type Parts = {
  readonly scheme: string;
  readonly login: string;
  readonly hosts: string;
  readonly path: string;
  readonly query: string;
};

/**
 * Reads any of the address forms. Throws a SetupError that says what is expected and shows nothing of what was given:
 * any part of a wrong address may be part of a password.
 */
export function parseAddress(address: string): RedisAddress {
  const { scheme, login: loginText, hosts, path, query } = partsOf(address);
  const isSentinel = scheme.endsWith('+sentinel');
  const isSecure = scheme.startsWith('rediss');
  const login = { ...loginOf(loginText), ...(isSecure ? { tls: {} } : {}) };
  const parameters = parametersOf(query, isSentinel ? ['sentinel_username', 'sentinel_password', 'db'] : []);
  const nodes = hosts.split(',').map((host) => hostOf(host, isSentinel ? 26_379 : 6_379));
  if (isSentinel) {
    const db = databaseOf(parameters.get('db') ?? '');
    const sentinel = { ...sentinelLogin(parameters, isSecure), sentinels: nodes, name: masterOf(path) };
    return { kind: 'single', options: { ...login, ...sentinel, db } };
  }
  if (scheme.endsWith('+cluster')) {
    if (path !== '') throw new SetupError('REDIS_URL: a Cluster has no database numbers: redis+cluster://h1:6379,h2');
    return { kind: 'cluster', nodes, options: login };
  }
  const [node] = nodes;
  if (nodes.length !== 1 || node === undefined) throw new SetupError(`REDIS_URL: expected one host, or ${FORMS}`);
  return { kind: 'single', options: { ...login, ...node, db: databaseOf(path) } };
}

/** An address for logs: without user, passwords and parameters. */
export function shownAddress(address: string): string {
  const { scheme, hosts, path } = partsOf(address);
  return `${scheme}://${hosts}${path === '' ? '' : `/${path}`}`;
}

function partsOf(address: string): Parts {
  if (/\s/.test(address)) throw new SetupError('REDIS_URL: expected no spaces and no line breaks in it, nor after it');
  const [, scheme, rest = ''] = /^(rediss?(?:\+sentinel|\+cluster)?):\/\/(.*)$/.exec(address) ?? [];
  if (scheme === undefined) throw new SetupError(`REDIS_URL: expected ${FORMS}`);
  const at = rest.lastIndexOf('@');
  const login = rest.slice(0, Math.max(at, 0));
  if (/[@/?#]/.test(login)) throw notEncoded('the user and the password');
  const [, hosts = '', path = '', query = ''] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(rest.slice(at + 1)) ?? [];
  return { scheme, login, hosts, path, query };
}

/** Sentinels have a login of their own; with TLS they are asked over TLS too. */
function sentinelLogin(parameters: ReadonlyMap<string, string>, isSecure: boolean): SentinelOptions {
  const username = parameters.get('sentinel_username');
  const password = parameters.get('sentinel_password');
  return {
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(isSecure ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  };
}

/** Not as of a form, where + is a space: a password is the same here as before the @. */
function parametersOf(query: string, known: readonly string[]): ReadonlyMap<string, string> {
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const [name = '', ...value] = pair.split('=');
      return [name, decoded(value.join('='), 'what stands after "?"')];
    });
  if (pairs.some(([name]) => !known.includes(name))) {
    const expected = known.length === 0 ? 'nothing after "?"' : `only ${known.join(', ')} after "?"`;
    throw new SetupError(`REDIS_URL: expected ${expected}`);
  }
  return new Map(pairs);
}

/** A master's name as Redis Sentinel takes it. */
function masterOf(path: string): string {
  if (/^[A-Za-z0-9._-]+$/.test(path)) return path;
  throw new SetupError(
    'REDIS_URL: redis+sentinel:// needs the name of the master, of letters, digits, ".", "-" and "_": ' +
      'redis+sentinel://h1,h2/name; a database number stands after it: ?db=1',
  );
}

function databaseOf(text: string): number {
  if (!/^\d{0,2}$/.test(text))
    throw new SetupError('REDIS_URL: expected a database number from 0 to 99 after the host');
  return Number(text || 0);
}

function loginOf(text: string): Login {
  if (text === '') return {};
  const [username, password] = text.includes(':')
    ? [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)]
    : ['', text];
  const what = 'the user and the password';
  return { ...(username === '' ? {} : { username: decoded(username, what) }), password: decoded(password, what) };
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notEncoded(what);
  }
}

function notEncoded(what: string): SetupError {
  return new SetupError(`REDIS_URL: expected ${what} percent-encoded (${ENCODED})`);
}

function hostOf(text: string, fallbackPort: number): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? fallbackPort);
  if (host === undefined || port < 1 || port > 65_535) throw new SetupError(`REDIS_URL: expected ${FORMS}`);
  return { host, port };
}
