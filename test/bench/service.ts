import { openAsBlob } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { OpenAI } from 'openai';
import { requestLine } from '../support/request-line.ts';
import type { ServiceName } from '../support/service.ts';
import { isOver, System } from '../support/system.ts';
import { cpuS, promptAt, type Env } from './processes.ts';
import type { Run } from './run.ts';

/** The services' own intervals, which the tests set otherwise. */
export const PRODUCTION: Env = {
  SPILLWAY_LEASE_MS: '10000',
  SPILLWAY_LOCK_MS: '30000',
  SPILLWAY_SWEEP_MS: '15000',
  SPILLWAY_RECOVERY_MS: '500',
  SPILLWAY_POLL_MS: '100',
};

export const MAX_MS = 7_200_000;

/** Enough that a connection is open and the code is loaded. */
const WARM_UP_DOCUMENTS = 500;

/**
 * Enough that a process is nearly as fast as it stays: in its first ten thousand documents a service has two thirds of the
 * rate that it comes to, in its third nine tenths. What a script gains by it is a tenth.
 */
export const longWarmUp = ({ isQuick }: Run): number => (isQuick ? WARM_UP_DOCUMENTS : 30_000);

export type Servers = { readonly drafter: { readonly baseURL: string }; readonly expert: { readonly baseURL: string } };

/**
 * A system whose models are servers of their own, so many calls at a time. No service runs yet. Drafts come whole, as the
 * answers of what they are compared with do: what `stop_early` costs and saves is measured by itself.
 */
export function createSystem(servers: Servers, concurrency: number, env: Env = {}): Promise<System> {
  const spec = { concurrency, timeout_s: 600 };
  return System.create({
    models: {
      small: { ...spec, base_url: servers.drafter.baseURL },
      large: { ...spec, base_url: servers.expert.baseURL },
    },
    stopEarly: false,
    env: { ...PRODUCTION, ...env },
  });
}

/** The same with one process of each service, warm. */
export async function startSystem(
  servers: Servers,
  concurrency: number,
  { warmUpDocuments = WARM_UP_DOCUMENTS, env = {} }: { readonly warmUpDocuments?: number; readonly env?: Env } = {},
): Promise<System> {
  const system = await createSystem(servers, concurrency, env);
  try {
    await Promise.all((['api', 'dispatcher', 'drafter', 'expert'] as const).map((name) => system.run(name)));
    await system.admitted();
    await secondsOf(system, await submitMany(system, warmUpDocuments));
    return system;
  } catch (error) {
    await system[Symbol.asyncDispose]();
    throw error;
  }
}

/** Submits documents through a file on disk, however many; every fourth is escalated. */
export async function submitMany(
  system: System,
  documents: number,
  prompt: (index: number) => string = promptAt,
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-bench-'));
  try {
    const path = join(directory, 'input.jsonl');
    await using file = await open(path, 'w');
    for (let from = 0; from < documents; from += 10_000) {
      const count = Math.min(10_000, documents - from);
      const lines = Array.from({ length: count }, (_, at) => requestLine(prompt(from + at), `doc-${from + at}`));
      await file.write(`${lines.join('\n')}\n`);
    }
    const input = new File([await openAsBlob(path)], 'input.jsonl');
    const { id } = await system.client.files.create({ file: input, purpose: 'batch' });
    const order = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    return (await system.client.batches.create(order)).id;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export const settledOf = ({ request_counts: counts }: OpenAI.Batch): number =>
  (counts?.completed ?? 0) + (counts?.failed ?? 0);

/** How long a batch takes from now until it has ended; a document that failed makes the figure worthless. */
export async function secondsOf(system: System, id: string, lookMs = 20): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const batch = await system.client.batches.retrieve(id);
    if (isOver(batch)) {
      if (batch.status === 'completed' && batch.request_counts?.failed === 0)
        return (performance.now() - startedMs) / 1_000;
      throw new Error(`${id} ended as ${batch.status}: ${JSON.stringify(batch)}\n${system.complaints()}`);
    }
    if (performance.now() - startedMs > MAX_MS) throw new Error(`${id} stayed ${JSON.stringify(batch)}`);
    await delay(lookMs);
  }
}

/** To look costs the service a millisecond and more, which is as much as a document. */
const RATE_LOOK_MS = 100;

/** A whole batch's documents a second, from the moment that it was taken. */
export async function documentsPerS(system: System, documents: number): Promise<number> {
  return documents / (await secondsOf(system, await submitMany(system, documents), RATE_LOOK_MS));
}

/** A field of Redis' own account of itself. */
export async function redisInfo(system: System, section: string, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(await system.redis.client.info(section))?.[1]);
}

/** The seconds of CPU that each process of the service, and Redis, have taken so far. */
export async function serviceCpuS(system: System): Promise<Record<ServiceName | 'redis', number>> {
  const of = (name: ServiceName): number =>
    system.services
      .filter((service) => service.name === name && service.child.exitCode === null)
      .reduce((sum, { child }) => sum + cpuS(child.pid), 0);
  const parts = ['used_cpu_user', 'used_cpu_sys', 'used_cpu_user_children', 'used_cpu_sys_children'];
  const redis = await Promise.all(parts.map((part) => redisInfo(system, 'cpu', part)));
  return {
    api: of('api'),
    dispatcher: of('dispatcher'),
    drafter: of('drafter'),
    expert: of('expert'),
    redis: redis.reduce((sum, one) => sum + one, 0),
  };
}
