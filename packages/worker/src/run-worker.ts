import {
  beginDocumentCounters,
  callMeter,
  DocumentTelemetry,
  noticeMessage,
  openModelCheck,
  openStageModel,
  type StageModel,
} from '@spillway/cascade';
import { asksOf, signalsOf, tierName, type DatedFindings, type Role } from '@spillway/core';
import { HandOffs, openRedis, Queues, Settler, takeTrace, writeFindings, type RedisStore } from '@spillway/redis';
import { serveHealth, type Life, type ServedModel } from '@spillway/runtime';
import { Auditor } from './auditor.ts';
import type { WorkerConfig } from './config.ts';
import { DocumentWorker } from './document-worker.ts';
import { RulesCache } from './rules-cache.ts';
import { TierCheck } from './tier-check.ts';
import { MAX_CLOSE_MS } from './tier-worker.ts';
import { TierWorkers, type TierDuty } from './tier-workers.ts';

/** Runs a process that serves every model of a role, or those that SPILLWAY_MODELS names. */
export async function runWorker(role: Role, config: WorkerConfig, life: Life): Promise<void> {
  const { configuration } = config;
  const redis = await openRedis({ address: config.redis, namespace: config.namespace, log: life.log, works: true });
  life.defer(() => redis[Symbol.asyncDispose]());
  const queues = new Queues(redis);
  life.defer(() => queues[Symbol.asyncDispose]());
  const telemetry = new DocumentTelemetry(life, {
    configuration,
    loggedShare: config.loggedShare,
    takeTrace: (batch, kind, max) => takeTrace(redis, batch, kind, max),
  });
  const auditor = new Auditor(redis, queues, life.log);
  const recorders = { settler: new Settler(redis), handOffs: new HandOffs(redis, queues), telemetry, auditor };
  const duties = config.models.map((served): TierDuty => {
    const model = openStageModel(served, {
      role,
      configuration,
      propagates: telemetry.propagates,
      onCall: callMeter(life.telemetry.meters),
      onNotice: (notice) => life.log.warn(notice, noticeMessage(notice)),
    });
    life.defer(() => model[Symbol.asyncDispose]());
    const { concurrency, sidecar } = served.spec;
    const documents = new DocumentWorker(model, recorders);
    const tier = tierName(role, served.name);
    const checked = config.checksModels ? startCheck(served, { role, tier, model, redis }, config, life) : undefined;
    return { tier, concurrency, sidecar, documents, model, checked: checked ?? Promise.resolve() };
  });
  const served = new Set(duties.map(({ tier }) => tier));
  beginDocumentCounters(life.telemetry.meters, configuration.cascades, (tier) => served.has(tier));
  const workers = new TierWorkers({ redis, queues, rules: new RulesCache(redis) }, duties, config, life);
  life.allow(config.drainMs);
  life.defer(() => workers[Symbol.asyncDispose](), config.drainMs + 2 * MAX_CLOSE_MS);
  await workers.start();
  const healthPort = await openHealth(workers, config, life);
  life.ready({ models: config.models.map(({ name }) => name), healthPort });
}

/** Starts the check of a model; resolves when its first document may be taken. */
async function startCheck(
  served: ServedModel,
  { role, tier, model, redis }: { role: Role; tier: string; model: StageModel; redis: RedisStore },
  { configuration }: WorkerConfig,
  life: Life,
): Promise<void> {
  const signals = role === 'drafter' ? signalsOf(configuration.cascades, served.name) : [];
  const check = openModelCheck(served, { role, configuration });
  const write = (findings: DatedFindings): Promise<void> => writeFindings(redis, tier, findings);
  const asks = asksOf(configuration.cascades, served.name, role);
  await new TierCheck(life, { tier, signals, asks, check, model, write }).start();
}

/** Probes and metrics on a port of their own; null: the operator wants none. */
async function openHealth(workers: TierWorkers, config: WorkerConfig, life: Life): Promise<number | null> {
  if (config.health === null) return null;
  const probes = { live: () => workers.live(), ready: () => workers.ready() };
  const health = await serveHealth(config.health, probes, life);
  life.defer(() => health[Symbol.asyncDispose]());
  return health.port;
}
