import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ResultLine as SchemaLine } from '@spillway/core';
import { OpenAI, toFile } from 'openai';
import { requestLine, type SubmitOptions } from './request-line.ts';
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { startModelServer, type ModelServer, type ModelServerOptions } from './model-server.ts';
import { startRedis, type RedisServer } from './redis.ts';
import { Service, type ServiceName } from './service.ts';
import { strictLines } from './strict.ts';
import { yamlOf, type YamlOptions } from './system-yaml.ts';

export type SystemOptions = YamlOptions & {
  readonly drafter?: ModelServerOptions;
  /** A third model, `medium`: then the cascade `test` has three stages, each with a threshold of .8. */
  readonly middle?: ModelServerOptions;
  readonly expert?: ModelServerOptions;
  readonly env?: Readonly<Record<string, string>>;
  readonly redis?: { readonly maxmemory?: string };
  /** In place of one plain server. */
  readonly redisServer?: RedisServer;
  /** Puts a fault proxy before Redis and before each model server; the processes know no other address of theirs. */
  readonly proxies?: boolean;
};

/** What a system's processes reach Redis and the model servers through. */
export type Proxies = {
  readonly redis: FaultProxy;
  readonly drafter: FaultProxy;
  readonly middle: FaultProxy | null;
  readonly expert: FaultProxy;
};

/** A line of a results file, with the body as a test reads it. */
export type ResultLine = Omit<SchemaLine, 'response' | 'custom_id'> & {
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: Record<string, never> } | null;
};

/** The whole system as real processes: Redis, two model servers, and the services that a test asks for. */
export class System implements AsyncDisposable {
  readonly redis: RedisServer;
  readonly drafterModel: ModelServer;
  readonly expertModel: ModelServer;
  readonly #middleModel: ModelServer | null;
  readonly #proxies: Proxies | null;
  readonly directory: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #services: Service[] = [];
  #client: OpenAI | null = null;

  private constructor(
    redis: RedisServer,
    models: readonly [ModelServer, ModelServer, ModelServer | null],
    proxies: Proxies | null,
    directory: string,
    env: Readonly<Record<string, string>>,
  ) {
    this.redis = redis;
    [this.drafterModel, this.expertModel, this.#middleModel] = models;
    this.#proxies = proxies;
    this.directory = directory;
    this.#env = env;
  }

  static async create(options: SystemOptions = {}): Promise<System> {
    const redis = options.redisServer ?? (await startRedis(options.redis));
    const drafter = await startModelServer({ role: 'drafter', ...options.drafter });
    const expert = await startModelServer({ role: 'expert', ...options.expert });
    const directory = await mkdtemp(join(tmpdir(), 'spillway-test-'));
    const middle = options.middle === undefined ? null : await startModelServer({ role: 'middle', ...options.middle });
    const proxies = options.proxies === true ? await startProxies(redis, { drafter, middle, expert }) : null;
    const seen = (server: ModelServer, proxy: FaultProxy | null | undefined): string =>
      proxy?.through(server.baseURL) ?? server.baseURL;
    const urls = {
      small: seen(drafter, proxies?.drafter),
      medium: middle === null ? null : seen(middle, proxies?.middle),
      large: seen(expert, proxies?.expert),
    };
    await writeFile(join(directory, 'spillway.yaml'), yamlOf(options, urls));
    const env = {
      REDIS_URL: proxies === null ? redis.url : `redis://127.0.0.1:${proxies.redis.port}`,
      SPILLWAY_CONFIG: join(directory, 'spillway.yaml'),
      SPILLWAY_DATA_DIR: join(directory, 'data'),
      SPILLWAY_NAMESPACE: 'test',
      SPILLWAY_LEASE_MS: '1500',
      SPILLWAY_LOCK_MS: '2000',
      SPILLWAY_SWEEP_MS: '1000',
      SPILLWAY_RECOVERY_MS: '100',
      SPILLWAY_DRAIN_MS: '3000',
      PORT: '0',
      ...options.env,
    };
    return new System(redis, [drafter, expert, middle], proxies, directory, env);
  }

  /** The system with one process of each service, ready. */
  static async start(options: SystemOptions = {}): Promise<System> {
    const system = await System.create(options);
    try {
      await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter'), system.run('expert')]);
      await system.admitted();
      return system;
    } catch (error) {
      // Nobody else knows of it, and what it started would live on and keep the test from ending.
      await system[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts one more process of a service and waits until it is ready. */
  async run(name: ServiceName, env: Readonly<Record<string, string>> = {}): Promise<Service> {
    const service = new Service(name, { ...this.#env, ...env });
    this.#services.push(service);
    const ready = await service.ready();
    if (name === 'api') {
      const baseURL = `http://127.0.0.1:${String(ready['port'])}/v1`;
      this.#client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
    }
    return service;
  }

  get client(): OpenAI {
    if (this.#client === null) throw new Error('no API was started');
    return this.#client;
  }

  get middleModel(): ModelServer {
    if (this.#middleModel === null) throw new Error('no middle model was started');
    return this.#middleModel;
  }

  get proxies(): Proxies {
    if (this.#proxies === null) throw new Error('no proxies were asked for');
    return this.#proxies;
  }

  get services(): readonly Service[] {
    return this.#services;
  }

  /** Until Redis is no longer recovering: the API takes batches. */
  async admitted(): Promise<void> {
    await until(async () => {
      const [epoch, info] = await Promise.all([
        this.redis.client.get('{test}:epoch'),
        this.redis.client.info('server'),
      ]);
      return epoch !== null && info.includes(`run_id:${epoch.split('.')[0]}`);
    });
  }

  /** Uploads prompts as a batch file and creates a batch of it. */
  async submit(prompts: readonly string[], options: SubmitOptions = {}): Promise<OpenAI.Batch> {
    const text = prompts
      .map((prompt, index) => requestLine(prompt, options.id?.(index) ?? `doc-${index}`, options))
      .join('\n');
    const input = await toFile(Buffer.from(`${text}\n`), 'input.jsonl');
    const file = await this.client.files.create({ file: input, purpose: 'batch' });
    return await this.client.batches.create({
      input_file_id: file.id,
      endpoint: options.endpoint ?? '/v1/chat/completions',
      completion_window: (options.window ?? '24h') as '24h',
    });
  }

  /** Polls a batch until it has ended, or fits. */
  async settled(id: string, fits: (batch: OpenAI.Batch) => boolean = isOver, limitMs = 60_000): Promise<OpenAI.Batch> {
    let batch: OpenAI.Batch | null = null;
    const isSettled = async (): Promise<boolean> => {
      batch = await this.client.batches.retrieve(id).catch(() => batch);
      return batch !== null && fits(batch);
    };
    await until(isSettled, limitMs, fits === isOver ? 'for good' : 'for now').catch((error: unknown) => {
      throw new Error(`${id} stayed ${JSON.stringify(batch)}\n${this.complaints()}`, { cause: error });
    });
    return batch as unknown as OpenAI.Batch;
  }

  /** The lines of a results file, as a strict reader takes them. */
  async lines(fileId: string | null | undefined): Promise<ResultLine[]> {
    if (fileId == null) return [];
    return strictLines(await (await this.client.files.content(fileId)).bytes()) as ResultLine[];
  }

  /** Warnings and errors that the services logged. */
  complaints(): string {
    const bad = this.#services.flatMap((service) =>
      service.lines.filter((line) => ['warn', 'error', 'fatal'].includes(String(line['level']))),
    );
    return bad.map((line) => JSON.stringify(line)).join('\n');
  }

  /** What the processes of a service logged that fits. */
  logged(
    name: ServiceName,
    fits: (line: { readonly tier: string; readonly msg: string }) => boolean,
  ): { readonly tier: string; readonly msg: string }[] {
    return this.#services
      .filter((service) => service.name === name)
      .flatMap(({ lines }) => lines.map((line) => ({ tier: String(line['tier']), msg: String(line['msg']) })))
      .filter(fits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#services.map((service) => service.kill()));
    const models = [this.drafterModel, this.expertModel, ...(this.#middleModel === null ? [] : [this.#middleModel])];
    const proxies = Object.values(this.#proxies ?? {}).filter((proxy) => proxy !== null);
    await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
    await Promise.all(models.map((server) => server[Symbol.asyncDispose]()));
    await this.redis.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const isOver = (batch: OpenAI.Batch): boolean =>
  ['completed', 'failed', 'expired', 'cancelled'].includes(batch.status);

/**
 * Waits for a state that has no event to wait for; the limit makes a wrong one fail. It is looked for the more seldom the
 * longer it takes to come, and one that stays more seldom still: a batch that is asked for every 20 ms costs a fifth of a
 * processor.
 */
export async function until(
  fits: () => Promise<boolean>,
  limitMs = 30_000,
  stays: 'for good' | 'for now' = 'for now',
): Promise<void> {
  const startedAtMs = performance.now();
  const [share, longestMs] = stays === 'for good' ? [0.05, 100] : [0.02, 50];
  while (!(await fits())) {
    const waitedMs = performance.now() - startedAtMs;
    if (waitedMs > limitMs) throw new Error(`not so after ${limitMs} ms`);
    await delay(Math.min(Math.max(20, waitedMs * share), longestMs));
  }
}

async function startProxies(
  redis: RedisServer,
  models: { readonly drafter: ModelServer; readonly middle: ModelServer | null; readonly expert: ModelServer },
): Promise<Proxies> {
  const { drafter, middle, expert } = models;
  return {
    redis: await startFaultProxy({ target: redis.url.replace('redis:', 'http:') }),
    drafter: await startFaultProxy({ target: drafter.baseURL }),
    middle: middle === null ? null : await startFaultProxy({ target: middle.baseURL }),
    expert: await startFaultProxy({ target: expert.baseURL }),
  };
}
