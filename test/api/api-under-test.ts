import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import {
  LIMITS,
  readConfiguration,
  RECORD_VERSION,
  snapshotRules,
  type CascadeRules,
  type Configuration,
} from '@spillway/core';
import { finishRecovery, openRedis, type RedisStore } from '@spillway/redis';
import { Calibrations, EnvReader, openLog, openTelemetry, type Life } from '@spillway/runtime';
import { openStorage, type Storage } from '@spillway/storage';
import OpenAI from 'openai';
import type { ApiConfig } from '../../services/api/src/config.ts';
import { formatKeys, hashKey, type KeyLimits, type Role } from '../../services/api/src/keys/file.ts';
import { startApi } from '../../services/api/src/service.ts';
import { keysIn } from '../support/stored.ts';
import { beginAnew } from '../support/stores.ts';

export const YAML = `
models:
  small: { base_url: http://127.0.0.1:9/v1, model: s, price: { input: 0.05, output: 0.2 } }
  large: { base_url: http://127.0.0.1:9/v1, model: l }
cascades:
  invoices: { drafter: small, expert: large, accept_at: 0.9 }
  letters: { drafter: small, expert: large, accept_at: 0.8 }
`;

/** A key that a test uses, and whose it is. */
export type TestKey = {
  readonly key: string;
  readonly tenant: string;
  readonly role?: Role;
  readonly limits?: KeyLimits;
};

/** What several APIs share. */
export type TestPlace = { readonly namespace: string; readonly storageAddress: string; readonly keyFile: string };

export type TestApi = AsyncDisposable & {
  readonly url: string;
  readonly place: TestPlace;
  readonly storage: Storage;
  readonly store: RedisStore;
  readonly keyFile: string;
  /** The official SDK, without its own retries. */
  client(key?: string): OpenAI;
  /** Says in Redis that the recovery is over, as the dispatcher does. */
  recover(): Promise<void>;
  /** Writes a record to storage as a service does. */
  put(key: string, record: object): Promise<unknown>;
  /** Every key in storage, once nothing is being written there. */
  keys(): Promise<string[]>;
  /** What it logged. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
};

export const keyLines = (keys: readonly TestKey[]): string =>
  formatKeys(keys.map(({ key, role = 'tenant', ...rest }) => ({ ...rest, role, sha256: hashKey(key) })));

type Options = {
  readonly redisUrl: string;
  readonly keys?: readonly TestKey[];
  readonly limits?: Partial<ApiConfig['limits']>;
  readonly yaml?: string;
  readonly corsOrigins?: readonly string[];
  readonly servesBullBoard?: boolean;
  /** Another one's, to run beside it. */
  readonly place?: TestPlace;
};

/** The API in this process, over real HTTP, with a namespace and a directory of its own unless it runs beside another. */
export async function startTestApi(options: Options): Promise<TestApi> {
  const {
    redisUrl,
    keys,
    limits,
    yaml = YAML,
    corsOrigins = [],
    servesBullBoard = false,
    place: shared = null,
  } = options;
  const directory = await mkdtemp(join(tmpdir(), 'spillway-api-'));
  const place = storagePlace(join(directory, 'data'));
  const keyFile = shared?.keyFile ?? join(directory, 'keys.jsonl');
  if (keys !== undefined) await writeFile(keyFile, keyLines(keys));
  const lines: Record<string, unknown>[] = [];
  const log = openLog('api', 'info', { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const namespace = shared?.namespace ?? randomUUID();
  const { life, started, stop } = lifeOf(log, await openTelemetry('test', new EnvReader({}), log));
  const configuration = configurationOf(yaml);
  const config: ApiConfig = {
    host: '127.0.0.1',
    port: 0,
    health: null,
    redisUrl,
    namespace,
    storageAddress: shared?.storageAddress ?? place.address,
    keyFile: keys === undefined && shared === null ? null : keyFile,
    limits: { uploadBytes: 1024 ** 2, uploadIdleMs: 60_000, bodyMs: 30_000, ...limits },
    inputLimits: { lines: LIMITS.batchLines, lineBytes: LIMITS.lineBytes },
    drainMs: 25_000,
    configuration,
    calibrations: () => Calibrations.load(new EnvReader({}), configuration, log),
    models: Object.entries(configuration.models).map(([name, spec]) => ({ name, spec, apiKey: null })),
    jaegerUrl: null,
    corsOrigins,
    servesBullBoard,
    loggedShare: 1,
    configuredAtMs: 1_700_000_000_000,
  };
  await startApi(config, life);
  const url = await started;
  const storage = await openStorage(config.storageAddress);
  const store = await openRedis({ address: redisUrl, namespace, log });
  const recover = async (): Promise<void> => {
    if (!(await finishRecovery(store, await beginAnew(store, randomUUID())))) throw new Error('not recovered');
  };
  await recover();
  return {
    url,
    place: { namespace, storageAddress: config.storageAddress, keyFile },
    storage,
    store,
    keyFile,
    recover,
    client: (key = 'none') => new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0 }),
    put: (key, record) => storage.create(key, Buffer.from(JSON.stringify({ v: RECORD_VERSION, ...record }))),
    keys: place.keys,
    lines,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await store[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A directory; or, where the variable says so, a prefix of its own in a bucket: the same tests run with either. */
function storagePlace(directory: string): { address: string; keys: () => Promise<string[]> } {
  const bucket = process.env[STORAGE_VARIABLE];
  if (bucket === undefined) return { address: pathToFileURL(directory).href, keys: () => keysIn(directory) };
  const url = new URL(bucket);
  url.pathname = `/${randomUUID()}`;
  return { address: url.href, keys: () => objectsIn(url) };
}

/** Names the bucket, as in `SPILLWAY_STORAGE`; credentials come from the SDK's variables. */
export const STORAGE_VARIABLE = 'SPILLWAY_TEST_STORAGE';

async function objectsIn(url: URL): Promise<string[]> {
  const endpoint = url.searchParams.get('endpoint') ?? '';
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
  const prefix = `${url.pathname.slice(1)}/`;
  const pages = paginateListObjectsV2({ client }, { Bucket: url.host, Prefix: prefix });
  const keys: string[] = [];
  for await (const { Contents = [] } of pages) keys.push(...Contents.map(({ Key = '' }) => Key.slice(prefix.length)));
  client.destroy();
  return keys.toSorted();
}

export function configurationOf(yaml: string): Configuration {
  const read = readConfiguration(yaml);
  if (read.kind === 'invalid') throw new Error(JSON.stringify(read.problems));
  return read.configuration;
}

/** The rules of a cascade of the configuration above, as a batch that names it has them. */
export function rulesOf(cascade: string): Record<string, CascadeRules> {
  const rules = snapshotRules(configurationOf(YAML), new Map(), false)[cascade];
  if (rules === undefined) throw new Error(`no cascade ${cascade}`);
  return { [cascade]: rules };
}

/** A process' life without the process. */
function lifeOf(
  log: Life['log'],
  telemetry: Life['telemetry'],
): { life: Life; started: Promise<string>; stop: () => Promise<void> } {
  const ready = Promise.withResolvers<string>();
  const stopping = new AbortController();
  const steps: Parameters<Life['defer']>[0][] = [];
  const life: Life = {
    log,
    telemetry,
    signal: stopping.signal,
    defer: (step) => void steps.push(step),
    allow: () => undefined,
    ready: ({ address }) => ready.resolve(String(address)),
    fail: (error) => ready.reject(error instanceof Error ? error : new Error(String(error))),
  };
  const stop = async (): Promise<void> => {
    stopping.abort('shutdown');
    for (const step of steps.toReversed()) await step();
  };
  return { life, started: ready.promise, stop };
}
