import { tierQueue } from '@spillway/core';
import { ModelTier, openModel } from '@spillway/models';
import { openBoard, Queues, TierWorkers, type TierDuty } from '@spillway/redis';
import { serveHealth, type Life, type WorkerConfig } from '@spillway/runtime';
import { draft } from './draft.ts';

/** Runs a drafter: a worker for every model that drafts, or those it was told. */
export async function runDrafter(config: WorkerConfig, life: Life): Promise<void> {
  const board = await openBoard({ address: config.redis, namespace: config.namespace, log: life.log });
  life.defer(() => board[Symbol.asyncDispose]());
  const queues = new Queues(board);
  life.defer(() => queues[Symbol.asyncDispose]());
  const duties = config.models.map(({ name, spec, apiKey }): TierDuty => {
    const timeoutMs = spec.timeout_s * 1000;
    const model = { baseURL: spec.base_url, model: spec.model, apiKey, timeoutMs, connections: spec.concurrency };
    const client = openModel({ ...model, onNotice: (notice) => life.log.warn(notice, 'every document will escalate') });
    life.defer(() => client[Symbol.asyncDispose]());
    const tier = new ModelTier(client, { model, timeoutMs, maxTries: spec.max_tries, logprobs: true });
    const desk = { board, queues, tier };
    const handler: TierDuty['handler'] = (job, attempt) => draft(desk, job, attempt);
    return { queue: tierQueue('draft', name), concurrency: spec.concurrency, handler };
  });
  const workers = new TierWorkers(board, queues, duties, config, life);
  await workers.start();
  life.defer(() => workers[Symbol.asyncDispose]());
  if (config.healthPort !== null) {
    const health = await serveHealth(config.host, config.healthPort, {
      live: () => workers.live(),
      ready: async () => ({ ok: (await board.client.ping()) === 'PONG', detail: 'redis' }),
    });
    life.defer(() => health[Symbol.asyncDispose]());
  }
  life.ready({ models: config.models.map((model) => model.name) });
}
