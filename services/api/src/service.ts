import { DocumentTelemetry } from '@spillway/cascade';
import { openRedis, readFindings, Queues, takeTrace } from '@spillway/redis';
import { listenError, serveHealth, type Health, type Life } from '@spillway/runtime';
import { openProvedStorage, Records, RoomWatch } from '@spillway/storage';
import type { FastifyInstance } from 'fastify';
import { Accounts } from './batches/account.ts';
import { serveBullBoard } from './bull-board/serve.ts';
import { Previews } from './batches/redecide-preview.ts';
import type { ApiConfig } from './config.ts';
import { DirectAnswers } from './direct/direct-answers.ts';
import { DirectModels } from './direct/direct-models.ts';
import { DryRuns, type DryRunsOptions } from './dry-run/dry-run.ts';
import { placeSpareTombstone } from './files/remove.ts';
import { Searches } from './documents/search.ts';
import { BatchEvents } from './events/events.ts';
import { live, ready } from './health.ts';
import { answerInternal } from './internal.ts';
import { KeyRing } from './keys/ring.ts';
import { batchRoutes } from './routes/batches.ts';
import { documentRoutes } from './routes/documents.ts';
import { directRoutes } from './routes/direct.ts';
import { fileRoutes } from './routes/files.ts';
import { modelRoutes } from './routes/models.ts';
import { tierRoutes } from './routes/tiers.ts';
import { ScalingSignal } from './scaling.ts';
import { buildServer } from './server.ts';
import { Tenants } from './tenants.ts';

/** What closing takes beside the requests in work. */
const MAX_CLOSE_MS = 2_000;

/** How often a server that closes looks for connections that are in use no more. */
const SWEEP_MS = 200;

/**
 * Starts the API: opens and proves all that it needs before it listens, and hands each part what it works with. The
 * parts are put together here and in no other file.
 */
export async function startApi(config: ApiConfig, life: Life): Promise<void> {
  const { configuration, configuredAtMs, corsOrigins, limits } = config;
  const { log, telemetry } = life;
  const keys = config.keyFile === null ? null : await KeyRing.open(config.keyFile, log);
  const storage = await openProvedStorage(config.storageAddress);
  life.defer(() => storage[Symbol.asyncDispose]());
  await placeSpareTombstone(storage);
  const redis = await openRedis({ address: config.redisUrl, namespace: config.namespace, log });
  life.defer(() => redis[Symbol.asyncDispose]());
  const queues = new Queues(redis);
  life.defer(() => queues[Symbol.asyncDispose]());
  const calibrations = config.calibrations(log);
  const records = new Records(storage);
  const tenants = new Tenants(storage);
  const accounts = new Accounts({ storage, records, redis, log });
  const storing = { storage, records, redis, queues, log };
  const { direct, dryRuns } = openAsking(config, life, { ...storing, calibrations, isShared: keys !== null });
  const scaling = new ScalingSignal({ configuration, records, redis, queues, log });
  const room = new RoomWatch({ storage, log });
  await room.look();
  room.show(telemetry.meters);
  const watching = room.watch(life.signal);
  life.defer(() => watching);
  const probe = (): Promise<Health> => ready({ storage, redis, room, log });
  const events = new BatchEvents({
    sources: { storage, records, accounts, redis, log },
    signal: life.signal,
    isShared: keys !== null,
  });
  const searches = new Searches({ storage, records, redis, log }, { signal: life.signal, isShared: keys !== null });
  const routes = [
    ...fileRoutes({ storage, records, redis, tenants, log, limits }),
    ...batchRoutes(
      { storage, records, accounts, redis, log, tenants, configuration, calibrations },
      { dryRuns, events, queues, previews: new Previews({ signal: life.signal, isShared: keys !== null }) },
    ),
    ...documentRoutes({ storage, records, redis, log, jaegerUrl: config.jaegerUrl }, searches),
    ...modelRoutes({ configuration, calibrations, redis, configuredAtMs }),
    ...tierRoutes({ configuration, redis, queues, scaling, log }, events),
    ...directRoutes(direct),
  ];
  const { uploadIdleMs, bodyMs } = limits;
  const { meters } = telemetry;
  const app = await buildServer({
    routes,
    keys,
    scaling,
    ready: probe,
    meters,
    log,
    corsOrigins,
    uploadIdleMs,
    bodyMs,
  });
  if (config.servesBullBoard) await serveBullBoard(app, { configuration, queues, keys, log });
  const healthPort = await openHealth(config, life, { scaling, probe });
  life.allow(config.drainMs);
  life.defer(() => drain(app, config.drainMs), config.drainMs + MAX_CLOSE_MS);
  const address = await listen(app, config);
  const port = Number(new URL(address).port);
  life.ready({ address, port, healthPort, tenants: keys === null ? 'one, without keys' : 'by key' });
}

type Asking = Pick<DryRunsOptions, 'storage' | 'records' | 'redis' | 'queues' | 'log' | 'calibrations' | 'isShared'>;

/** What asks models at once: direct answers, and the pilots of dry runs. */
function openAsking(config: ApiConfig, life: Life, sources: Asking): { direct: DirectAnswers; dryRuns: DryRuns } {
  const { configuration, inputLimits } = config;
  const { telemetry } = life;
  const { redis, log } = sources;
  const documents = new DocumentTelemetry(life, {
    configuration,
    loggedShare: config.loggedShare,
    takeTrace: (batch, kind, max) => takeTrace(redis, batch, kind, max),
  });
  const models = new DirectModels(config.models, {
    configuration,
    log,
    meters: telemetry.meters,
    propagates: documents.propagates,
    findings: (tiers) => readFindings(redis, tiers),
  });
  life.defer(() => models[Symbol.asyncDispose]());
  const own = { ...sources, configuration, models, telemetry: documents };
  const sampling = telemetry.spans?.settings.sampling;
  return { direct: new DirectAnswers({ ...own, sampling }), dryRuns: new DryRuns({ ...own, inputLimits }) };
}

/** Probes and metrics without a key, on a port of their own; null: they are on the API's port only. */
async function openHealth(
  { health: place }: ApiConfig,
  life: Life,
  { scaling, probe }: { readonly scaling: ScalingSignal; readonly probe: () => Promise<Health> },
): Promise<number | null> {
  if (place === null) return null;
  const probes = { live, ready: probe };
  const health = await serveHealth(place, probes, life, (path) => answerInternal(scaling, path));
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
  // A connection that was in use when the server closed stays open after its answer.
  const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
  await app.close();
  clearTimeout(limit);
  clearInterval(sweep);
}
