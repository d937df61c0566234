import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readConfiguration, type Configuration } from '@spillway/core';
import { beginRecovery, finishRecovery, openBoard, type Board } from '@spillway/redis';
import { openLog, type Life } from '@spillway/runtime';
import { openStorage, type Storage } from '@spillway/storage';
import OpenAI from 'openai';
import type { ApiConfig } from '../../services/api/src/config.ts';
import { formatKeys, hashKey, type KeyLimits, type Role } from '../../services/api/src/keys/file.ts';
import { startApi } from '../../services/api/src/service.ts';

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

export type TestApi = AsyncDisposable & {
  readonly url: string;
  readonly storage: Storage;
  readonly board: Board;
  readonly keyFile: string;
  /** The official SDK, without its own retries. */
  client(key?: string): OpenAI;
  /** Says in Redis that the recovery is over, as the dispatcher does. */
  recover(): Promise<void>;
  /** Every key in storage. */
  keys(): Promise<string[]>;
};

export const keyLines = (keys: readonly TestKey[]): string =>
  formatKeys(keys.map(({ key, role = 'tenant', ...rest }) => ({ ...rest, role, sha256: hashKey(key) })));

type Options = {
  readonly redisUrl: string;
  readonly keys?: readonly TestKey[];
  readonly limits?: Partial<ApiConfig['limits']>;
  readonly yaml?: string;
  readonly corsOrigins?: readonly string[];
};

/** The API in this process, over real HTTP, with a namespace and a directory of its own. */
export async function startTestApi(options: Options): Promise<TestApi> {
  const { redisUrl, keys, limits, yaml = YAML, corsOrigins = [] } = options;
  const directory = await mkdtemp(join(tmpdir(), 'spillway-api-'));
  const data = join(directory, 'data');
  const keyFile = join(directory, 'keys.jsonl');
  if (keys !== undefined) await writeFile(keyFile, keyLines(keys));
  const log = openLog('api', 'silent');
  const namespace = randomUUID();
  const { life, started, stop } = lifeOf(log);
  const configuration = configurationOf(yaml);
  const config: ApiConfig = {
    host: '127.0.0.1',
    port: 0,
    redisUrl,
    namespace,
    storageAddress: pathToFileURL(data).href,
    keyFile: keys === undefined ? null : keyFile,
    limits: { uploadBytes: 1024 ** 2, uploadIdleMs: 60_000, ...limits },
    configuration,
    models: Object.entries(configuration.models).map(([name, spec]) => ({ name, spec, apiKey: null })),
    corsOrigins,
    configuredAtMs: 1_700_000_000_000,
  };
  await startApi(config, life);
  const url = await started;
  const storage = await openStorage(config.storageAddress);
  const board = await openBoard({ address: redisUrl, namespace, log });
  const recover = async (): Promise<void> => {
    if (!(await finishRecovery(board, await beginRecovery(board, randomUUID())))) throw new Error('not recovered');
  };
  await recover();
  return {
    url,
    storage,
    board,
    keyFile,
    recover,
    client: (key = 'none') => new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0 }),
    keys: async () => {
      const entries = await readdir(data, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(data.length + 1))
        .toSorted();
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      await board[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function configurationOf(yaml: string): Configuration {
  const read = readConfiguration(yaml);
  if (read.kind === 'invalid') throw new Error(JSON.stringify(read.problems));
  return read.configuration;
}

/** A process' life without the process. */
function lifeOf(log: Life['log']): { life: Life; started: Promise<string>; stop: () => Promise<void> } {
  const ready = Promise.withResolvers<string>();
  const stopping = new AbortController();
  const steps: Parameters<Life['defer']>[0][] = [];
  const life: Life = {
    log,
    signal: stopping.signal,
    defer: (step) => void steps.push(step),
    ready: ({ address }) => ready.resolve(String(address)),
    fail: (error) => ready.reject(error instanceof Error ? error : new Error(String(error))),
  };
  const stop = async (): Promise<void> => {
    stopping.abort('shutdown');
    for (const step of steps.toReversed()) await step();
  };
  return { life, started: ready.promise, stop };
}
