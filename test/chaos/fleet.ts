import { createHash, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { OpenAI } from 'openai';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { startRedis, type LoneRedis } from '../support/redis.ts';
import { System } from '../support/system.ts';
import { Balancer } from './balancer.ts';
import { Bucket } from './bucket.ts';
import type { ModelName } from './documents.ts';
import { ProcessSlot } from './process-slot.ts';
import { PROCESSES, type BatchPlan } from './schedule.ts';
import { ScriptedModel } from './scripted-model.ts';
import { AUDITED_YAML } from './wishes.ts';

type Tenant = BatchPlan['tenant'];

/** Timings under which what takes minutes in production takes seconds. */
const ENV = {
  SPILLWAY_NAMESPACE: 'chaos',
  SPILLWAY_POLL_MS: '100',
  SPILLWAY_DRAIN_MS: '3000',
  SPILLWAY_LOG_ATTEMPT_SHARE: '0',
};
const SLOW_CALL = { api_key_env: 'MODEL_KEY', concurrency: 4, timeout_s: 2 };
const DEAD_MS = 1_000;
/** A client that hangs on a frozen API is a client that asks another one. */
const CLIENT_TIMEOUT_MS = 4_000;

/**
 * The whole system, two processes of each service and three models, behind a balancer for its clients and behind proxies
 * for its processes. It is used by one schedule after the other.
 */
export class Fleet implements AsyncDisposable {
  readonly system: System;
  readonly redis: LoneRedis;
  readonly slots: ReadonlyMap<string, ProcessSlot>;
  readonly models: Readonly<Record<ModelName, ScriptedModel>>;
  /** Null: its storage is a directory. */
  readonly bucket: Bucket | null;
  /** What must stand in no line of any log. */
  readonly secrets: readonly string[];
  /** Servers that are down, until they are up. */
  readonly #away = new Map<ModelName, Promise<void>>();
  readonly #keys: Readonly<Record<Tenant, string>>;

  private constructor(
    system: System,
    redis: LoneRedis,
    models: Fleet['models'],
    bucket: Bucket | null,
    secrets: { readonly keys: Readonly<Record<Tenant, string>>; readonly model: string },
  ) {
    this.system = system;
    this.redis = redis;
    this.models = models;
    this.bucket = bucket;
    this.#keys = secrets.keys;
    this.secrets = [secrets.model, ...Object.values(secrets.keys), ...(bucket === null ? [] : [bucket.secretKey])];
    const env = { MODEL_KEY: secrets.model, SPILLWAY_API_KEYS: join(system.directory, 'keys.jsonl') };
    this.slots = new Map(PROCESSES.map((name) => [name, new ProcessSlot(system, name, env)]));
  }

  static async start(storage: 'directory' | 's3'): Promise<Fleet> {
    const scripted = (name: ModelName): ScriptedModel =>
      new ScriptedModel(name, () => void fleet.bringDown(name, DEAD_MS));
    const models = { small: scripted('small'), medium: scripted('medium'), large: scripted('large') };
    const bucket = storage === 's3' ? await Bucket.create() : null;
    const redis = await startRedis();
    const system = await System.create({
      redisServer: redis,
      drafter: models.small.options,
      middle: models.medium.options,
      expert: models.large.options,
      models: { small: SLOW_CALL, medium: SLOW_CALL, large: SLOW_CALL },
      verifies: true,
      moreCascades: AUDITED_YAML,
      proxies: true,
      env: { ...ENV, ...bucket?.env },
    });
    const keys = { one: `sp-${randomUUID()}`, two: `sp-${randomUUID()}` };
    const lines = Object.entries(keys).map(([tenant, key]) =>
      JSON.stringify({ tenant, role: 'tenant', sha256: createHash('sha256').update(key).digest('hex') }),
    );
    await writeFile(join(system.directory, 'keys.jsonl'), `${lines.join('\n')}\n`);
    const fleet = new Fleet(system, redis, models, bucket, { keys, model: `sk-${randomUUID()}` });
    await Promise.all([...fleet.slots.values()].map((slot) => slot.start()));
    return fleet;
  }

  slot(name: string): ProcessSlot {
    const slot = this.slots.get(name);
    if (slot === undefined) throw new Error(`no process ${name}`);
    return slot;
  }

  of(service: string): ProcessSlot[] {
    return [...this.slots.values()].filter(({ name }) => name.startsWith(`${service}-`));
  }

  keyOf(tenant: Tenant): string {
    return this.#keys[tenant];
  }

  /** A tenant's client, with the SDK's own retries, behind a balancer; or asking one API only. */
  client(tenant: Tenant, api?: ProcessSlot): OpenAI {
    const { fetch } = new Balancer(() =>
      (api === undefined ? this.of('api') : [api]).flatMap(({ origin }) => (origin === null ? [] : [{ origin }])),
    );
    const baseURL = 'http://spillway.invalid/v1';
    return new OpenAI({ baseURL, apiKey: this.#keys[tenant], fetch, timeout: CLIENT_TIMEOUT_MS });
  }

  proxyOf(model: ModelName): FaultProxy {
    const { drafter, middle, expert } = this.system.proxies;
    const proxy = { small: drafter, medium: middle, large: expert }[model];
    if (proxy === null) throw new Error(`no proxy before ${model}`);
    return proxy;
  }

  serverOf(model: ModelName) {
    return { small: this.system.drafterModel, medium: this.system.middleModel, large: this.system.expertModel }[model];
  }

  /** As a server's process that dies and is started again: all calls under way break, and it is away for a while. */
  bringDown(model: ModelName, forMs: number): Promise<void> {
    const server = this.serverOf(model);
    const standing = this.#away.get(model);
    if (standing !== undefined) return standing;
    const away = (async () => {
      await server.stop();
      await delay(forMs);
      await server.restart();
      this.#away.delete(model);
    })();
    this.#away.set(model, away);
    return away;
  }

  /** All that its processes have said until now. */
  logTexts(): string[] {
    return this.system.services.flatMap(({ lines, stderr }) => [...lines.map((line) => JSON.stringify(line)), stderr]);
  }

  /** Replaces every process by a new one, in turn, as a deploy does: the next one goes when this one is ready. */
  async restartInTurn(): Promise<void> {
    for (const slot of this.slots.values()) {
      await slot.terminate();
      await slot.start();
      // A leader's successor needs its lease, a deploy's next step takes a moment.
      await delay(100);
    }
  }

  /** All is as it was at the start; what is not up comes up. */
  async heal(): Promise<void> {
    const { redis: proxy } = this.system.proxies;
    this.redis.thaw();
    if (!(await answers(this.redis.client))) await this.redis.restart();
    await proxy.set({ kind: 'pass' });
    await this.bucket?.proxy.set({ kind: 'pass' });
    await Promise.all(this.#away.values());
    for (const model of Object.values(this.models)) {
      model.heal();
      await this.proxyOf(model.name).set({ kind: 'pass' });
    }
    await Promise.all([...this.slots.values()].map((slot) => slot.heal()));
  }

  /** Leaves no connection to a model behind that is silent: the next schedule's documents would pay for it. */
  forget(): void {
    for (const { name } of Object.values(this.models)) this.proxyOf(name).breakSilent();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const slot of this.slots.values()) slot.retire();
    for (const model of Object.values(this.models)) model.heal();
    await this.system[Symbol.asyncDispose]();
    await this.bucket?.[Symbol.asyncDispose]();
  }
}

/** Whether Redis is there; a client of ours waits for ever for one that is not. */
const answers = (client: { ping(): Promise<string> }): Promise<boolean> =>
  Promise.race([
    client.ping().then(
      () => true,
      () => false,
    ),
    delay(1_000, false),
  ]);
