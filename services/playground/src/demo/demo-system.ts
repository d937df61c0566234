import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfiguration } from '@spillway/core';
import { openRedis, type RedisStore } from '@spillway/redis';
import { openLog, type Env } from '@spillway/runtime';
import { OpenAI } from 'openai';
import type { LogFields } from '../local/process.ts';
import { findRedisBinary } from '../local/redis-binary.ts';
import { preparePrivateRedis } from '../local/redis-server.ts';
import { playgroundMember, serviceMembers } from '../local/services.ts';
import type { System } from '../local/system.ts';
import { leaveNoKeys } from './borrowed-redis.ts';
import { demoConfiguration } from './cascade.ts';
import type { Screen } from './screen.ts';

/** What of the running system the demo talks to. */
export type DemoSystem = {
  /** The API, as a user's program would reach it. */
  readonly api: OpenAI;
  /** The models themselves, to ask one without the other. */
  readonly models: OpenAI;
  readonly redis: RedisStore;
};

export type DemoPlan = {
  readonly env: Env;
  /** The temporary directory. */
  readonly place: string;
  readonly system: System;
  /** For what must be undone after the processes have stopped. */
  readonly cleanup: AsyncDisposableStack;
  readonly screen: Screen;
  readonly signal: AbortSignal;
};

/** The user's own settings of Spillway are for his own system, not for the demo's. */
function demoEnv(env: Env, namespace: string): Env {
  const others = Object.entries(env).filter(([name]) => !name.startsWith('SPILLWAY_'));
  return { ...Object.fromEntries(others), SPILLWAY_NAMESPACE: namespace, SPILLWAY_DRAIN_MS: '1000' };
}

/** Starts everything: Redis and the models first, because the services need their addresses. */
export async function startDemoSystem(plan: DemoPlan): Promise<DemoSystem> {
  const namespace = `demo-${randomBytes(6).toString('hex')}`;
  const env = demoEnv(plan.env, namespace);
  const [redisUrl, playground] = await Promise.all([startRedis(plan), plan.system.start(playgroundMember(env, 0))]);
  const playgroundUrl = `http://127.0.0.1:${portOf(playground)}/v1`;
  const configPath = join(plan.place, 'spillway.yaml');
  const text = demoConfiguration(playgroundUrl);
  await writeFile(configPath, text);
  const read = readConfiguration(text);
  if (read.kind === 'invalid') throw new Error(`the demo's own configuration: ${JSON.stringify(read.problems)}`);
  const storage = { SPILLWAY_DATA_DIR: join(plan.place, 'data') };
  const surroundings = { env, configPath, configuration: read.configuration, redisUrl, storage };
  const members = serviceMembers(surroundings, { host: '127.0.0.1', port: 0 });
  const [redis, api] = await Promise.all([
    openOwnRedis(redisUrl, namespace, plan),
    ...members.map((member) => plan.system.start(member)),
  ]);
  const port = portOf(api as LogFields);
  return {
    api: new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'none', maxRetries: 5 }),
    models: new OpenAI({ baseURL: playgroundUrl, apiKey: 'none' }),
    redis,
  };
}

async function startRedis({ env, place, system, screen, signal }: DemoPlan): Promise<string> {
  const given = env['REDIS_URL'] ?? '';
  if (given !== '') return given;
  const binary = await findRedisBinary({ env, tell: (text) => screen.line(text), signal });
  const redis = await preparePrivateRedis(join(place, 'redis'), binary);
  await system.start(redis.member);
  return redis.url;
}

async function openOwnRedis(address: string, namespace: string, { env, cleanup }: DemoPlan): Promise<RedisStore> {
  const redis = await openRedis({ address, namespace, log: openLog('demo', 'silent') });
  cleanup.use(redis);
  if ((env['REDIS_URL'] ?? '') !== '') cleanup.defer(() => leaveNoKeys(redis));
  return redis;
}

/** Where a server listens, by its `ready` line. */
function portOf(ready: LogFields): number {
  const { port, address } = ready;
  if (typeof port === 'number') return port;
  if (typeof address === 'string') return Number(new URL(address).port);
  throw new Error(`a server did not say where it listens: ${JSON.stringify(ready)}`);
}
