import { randomUUID } from 'node:crypto';
import { openRedis, Queues } from '@spillway/redis';
import { serveHealth, type Life } from '@spillway/runtime';
import { openProvedStorage, Records } from '@spillway/storage';
import type { DispatcherConfig } from './config.ts';
import { showGauges } from './gauges.ts';
import { lead } from './lead.ts';
import { Leadership } from './leadership.ts';
import { LiveBatches } from './live-batches.ts';
import { Outlines } from './outlines.ts';
import { StepFailures } from './step-failures.ts';
import { Webhooks } from './webhooks/webhooks.ts';

/** Runs a dispatcher: it leads while it holds the lease, else it stands by. */
export async function runDispatcher(config: DispatcherConfig, life: Life): Promise<void> {
  const { telemetry, log, signal } = life;
  const { meters } = telemetry;
  const { limits, intervals, leaseMs } = config;
  const storage = await openProvedStorage(config.storage);
  life.defer(() => storage[Symbol.asyncDispose]());
  const redis = await openRedis({ address: config.redis, namespace: config.namespace, log });
  life.defer(() => redis[Symbol.asyncDispose]());
  const queues = new Queues(redis);
  life.defer(() => queues[Symbol.asyncDispose]());
  const records = new Records(storage);
  const failures = new StepFailures({ meters, log });
  const webhooks = new Webhooks({ targets: config.webhooks, storage, records, failures, log });
  const live = new LiveBatches(redis);
  const outlines = new Outlines(records);
  const options = {
    ...{ redis, queues, storage, records, failures, webhooks, live, outlines },
    ...{ limits, intervals, telemetry, log },
  };
  const token = randomUUID();
  const leadership = new Leadership({ redis, token, leaseMs, log, lead: (until) => lead(options, token, until) });
  const work = leadership.run(signal);
  life.defer(() => work);
  showGauges({ redis, queues, live, outlines, meters }, leadership);
  // Shown from the start: what is first seen at 1 has not increased.
  meters.count('cascade.recoveries', 0);
  const healthPort = config.healthPort === null ? null : await serve(config.host, config.healthPort, leadership, life);
  life.ready({ namespace: config.namespace, healthPort });
}

/** Serves the probes and the metrics; answers the port. A dispatcher that stands by is as ready as one that leads. */
async function serve(host: string, port: number, leadership: Leadership, life: Life): Promise<number> {
  const probes = {
    live: () => leadership.health(),
    ready: () => ({ ok: true, detail: leadership.health().detail }),
  };
  const health = await serveHealth({ host, port }, probes, life.telemetry.meters);
  life.defer(() => health[Symbol.asyncDispose]());
  return health.port;
}
