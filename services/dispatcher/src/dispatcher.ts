import { randomUUID } from 'node:crypto';
import { OUTCOMES } from '@spillway/core';
import { openRedis, Queues } from '@spillway/redis';
import { serveHealth, type Health, type HealthPlace, type Life } from '@spillway/runtime';
import { openProvedStorage, Records, RoomWatch } from '@spillway/storage';
import type { DispatcherConfig } from './config.ts';
import { showGauges } from './gauges.ts';
import { lead } from './lead.ts';
import { Leadership } from './leadership.ts';
import { LiveBatches } from './live-batches.ts';
import { Outlines } from './outlines.ts';
import { StepFailures } from './step-failures.ts';
import { Webhooks } from './webhooks/webhooks.ts';

/** What is in work at the end may take so long: a page that is being written, for the most part. */
const MAX_WORK_MS = 8_000;

/** Runs a dispatcher: it leads while it holds the lease, else it stands by. */
export async function runDispatcher(config: DispatcherConfig, life: Life): Promise<void> {
  const { telemetry, log, signal } = life;
  const { meters } = telemetry;
  const { limits, intervals, leaseMs } = config;
  const storage = await openProvedStorage(config.storage);
  life.defer(() => storage[Symbol.asyncDispose]());
  const room = new RoomWatch({ storage, log });
  await room.look();
  const watching = room.watch(signal);
  life.defer(() => watching);
  const redis = await openRedis({ address: config.redis, namespace: config.namespace, log });
  life.defer(() => redis[Symbol.asyncDispose]());
  const queues = new Queues(redis);
  life.defer(() => queues[Symbol.asyncDispose]());
  const records = new Records(storage);
  const failures = new StepFailures({ meters, log, outage: redis.outage });
  const webhooks = new Webhooks({ targets: config.webhooks, storage, records, failures, log });
  const live = new LiveBatches(redis);
  const outlines = new Outlines(records);
  const options = {
    redis,
    queues,
    storage,
    room,
    records,
    failures,
    webhooks,
    live,
    outlines,
    limits,
    intervals,
    telemetry,
    log,
  };
  const token = randomUUID();
  const leadership = new Leadership({ redis, token, leaseMs, log, lead: (until) => lead(options, token, until) });
  const work = leadership.run(signal);
  life.defer(() => work, MAX_WORK_MS);
  showGauges({ redis, queues, live, outlines, meters }, leadership);
  room.show(meters);
  meters.begin('cascade.recoveries');
  meters.begin('cascade.pages.sealed');
  meters.begin(
    'cascade.batches.ended',
    OUTCOMES.map((outcome) => ({ outcome })),
  );
  const healthPort = config.health === null ? null : await serve(config.health, { leadership, room }, life);
  life.ready({ namespace: config.namespace, healthPort });
}

/** Serves the probes and the metrics; answers the port. A dispatcher that stands by is as ready as one that leads. */
async function serve(
  place: HealthPlace,
  { leadership, room }: { readonly leadership: Leadership; readonly room: RoomWatch },
  life: Life,
): Promise<number> {
  const ready = (): Health => {
    const { detail } = leadership.health();
    return { ok: true, detail: room.isFull ? `${detail}, storage is full: nothing can be written` : detail };
  };
  const probes = { live: () => leadership.health(), ready };
  const health = await serveHealth(place, probes, life);
  life.defer(() => health[Symbol.asyncDispose]());
  return health.port;
}
