import { openBoard, Queues, Witness } from '@spillway/redis';
import { listenError, serveHealth, type Life } from '@spillway/runtime';
import { openProvedStorage } from '@spillway/storage';
import type { FastifyInstance } from 'fastify';
import type { Api } from './api.ts';
import type { ApiConfig } from './config.ts';
import { Accounts } from './batches/account.ts';
import { DirectTiers } from './direct/tiers.ts';
import { live, ready } from './health.ts';
import { KeyRing } from './keys/ring.ts';
import { answerInternal } from './internal.ts';
import { Records } from './records.ts';
import { ScalingSignal } from './scaling.ts';
import { buildServer } from './server.ts';
import { Tenants } from './tenants.ts';

/** How often a server that closes looks for connections that are in use no more. */
const SWEEP_MS = 200;

/** Starts the API: all that it needs is opened and proved before it listens. */
export async function startApi(config: ApiConfig, life: Life): Promise<void> {
  const { log } = life;
  const keys = config.keyFile === null ? null : await KeyRing.open(config.keyFile, log);
  const storage = await openProvedStorage(config.storageAddress);
  life.defer(() => storage[Symbol.asyncDispose]());
  const board = await openBoard({ address: config.redisUrl, namespace: config.namespace, log });
  life.defer(() => board[Symbol.asyncDispose]());
  const witness = new Witness(board, life, config.configuration);
  const direct = new DirectTiers(config.models, { log, propagates: witness.propagates, meters: life.telemetry.meters });
  life.defer(() => direct[Symbol.asyncDispose]());
  const { configuration, configuredAtMs, corsOrigins, limits } = config;
  const calibrations = config.calibrations(log);
  const records = new Records(storage);
  const tenants = new Tenants(storage);
  const accounts = new Accounts();
  const { telemetry } = life;
  const told = { configuration, calibrations, configuredAtMs, corsOrigins, limits };
  const api: Api = { ...told, storage, board, records, tenants, accounts, log, telemetry, witness, direct };
  const queues = new Queues(board);
  life.defer(() => queues[Symbol.asyncDispose]());
  const scaling = new ScalingSignal(api, queues);
  const app = await buildServer(api, keys, scaling);
  const healthPort = await openHealth(config, life, { api, scaling });
  life.allow(config.drainMs);
  life.defer(() => drain(app, config.drainMs));
  const address = await listen(app, config);
  const port = Number(new URL(address).port);
  life.ready({ address, port, healthPort, tenants: keys === null ? 'one, without keys' : 'by key' });
}

/** Probes and metrics without a key, on a port of their own; null: they are on the API's port only. */
async function openHealth(
  config: ApiConfig,
  life: Life,
  { api, scaling }: { readonly api: Api; readonly scaling: ScalingSignal },
): Promise<number | null> {
  if (config.healthPort === null) return null;
  const where = { host: config.host, port: config.healthPort };
  const probes = { live, ready: () => ready(api) };
  const health = await serveHealth(where, probes, life.telemetry.meters, (path) => answerInternal(scaling, path));
  life.defer(() => health[Symbol.asyncDispose]());
  return health.port;
}

async function listen(app: FastifyInstance, { host, port }: ApiConfig): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, host, port, 'PORT');
  }
}

/** Requests in work are finished; what takes longer is cut off. */
async function drain(app: FastifyInstance, limitMs: number): Promise<void> {
  const limit = setTimeout(() => app.server.closeAllConnections(), limitMs);
  // A connection that was in use when the server closed is kept alive after its answer.
  const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
  await app.close();
  clearTimeout(limit);
  clearInterval(sweep);
}
