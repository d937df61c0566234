import { tierQueue, type Outcome, type Role } from '@spillway/core';
import {
  PROBE_LIMIT_MS,
  repeat,
  serveHealth,
  within,
  type Health,
  type Life,
  type Reading,
  type ServedModel,
  type WorkerConfig,
} from '@spillway/runtime';
import { openBoard, type Board } from './board.ts';
import { listenForClosed } from './listen.ts';
import { Queues } from './queues.ts';
import { BEAT_MS, Heartbeat } from './tier.ts';
import { Witness } from './witness.ts';
import { TierWorker, type Handler } from './worker.ts';

/** What the handlers of a worker process share. */
export type TierDesk = { readonly board: Board; readonly queues: Queues; readonly witness: Witness };

/** One tier as a worker process serves it. */
type TierDuty = {
  readonly queue: string;
  readonly concurrency: number;
  readonly sidecar: boolean;
  readonly handler: Handler;
};

type TierWorkersOptions = {
  readonly lockMs: number;
  /** How long calls in hand may still take when the process stops. */
  readonly drainMs: number;
};

/** Work is waiting and nothing was picked up for so many times the lock, with slots free: the worker is wedged. */
const WEDGED_LOCKS = 4;

/** Runs a process that serves every model of a role, or those it was told; `prepare` makes a model's handler. */
export async function runTierWorkers(
  role: Role,
  { config, life }: { readonly config: WorkerConfig; readonly life: Life },
  prepare: (desk: TierDesk, model: ServedModel) => Handler,
): Promise<void> {
  const board = await openBoard({ address: config.redis, namespace: config.namespace, log: life.log });
  life.defer(() => board[Symbol.asyncDispose]());
  const queues = new Queues(board);
  life.defer(() => queues[Symbol.asyncDispose]());
  const witness = new Witness(board, life, config.configuration);
  const duties = config.models.map((model): TierDuty => {
    const handler = prepare({ board, queues, witness }, model);
    const { concurrency, sidecar } = model.spec;
    return { queue: tierQueue(role, model.name), concurrency, sidecar, handler };
  });
  const workers = new TierWorkers(board, queues, duties, config, life);
  await workers.start();
  life.allow(config.drainMs);
  life.defer(() => workers[Symbol.asyncDispose]());
  let healthPort: number | null = null;
  if (config.healthPort !== null) {
    const probes = {
      live: () => workers.live(),
      ready: () => workers.ready(),
    };
    const health = await serveHealth({ host: config.host, port: config.healthPort }, probes, life.telemetry.meters);
    healthPort = health.port;
    life.defer(() => health[Symbol.asyncDispose]());
  }
  life.ready({ models: config.models.map((model) => model.name), healthPort });
}

/** The workers of a process, one per tier, started and stopped together. */
class TierWorkers implements AsyncDisposable {
  readonly #board: Board;
  readonly #queues: Queues;
  readonly #duties: readonly TierDuty[];
  readonly #workers: readonly TierWorker[];
  readonly #drainMs: number;
  readonly #lockMs: number;
  readonly #life: Life;
  readonly #heartbeats: readonly Heartbeat[];
  readonly #silence = new AbortController();
  #beating: Promise<void> | null = null;
  #listening: AsyncDisposable | null = null;

  constructor(board: Board, queues: Queues, duties: readonly TierDuty[], options: TierWorkersOptions, life: Life) {
    this.#board = board;
    this.#queues = queues;
    this.#duties = duties;
    this.#drainMs = options.drainMs;
    this.#lockMs = options.lockMs;
    this.#life = life;
    this.#heartbeats = duties.map(({ queue }) => new Heartbeat(board, queue));
    this.#workers = duties.map(
      ({ queue, concurrency, sidecar, handler }) =>
        new TierWorker(board, { queue, concurrency, sidecar, lockMs: options.lockMs, life }, handler),
    );
    const ofWorkers = (read: (worker: TierWorker) => number) => (): Reading =>
      this.#workers.map((worker, index) => [read(worker), { queue: duties[index]?.queue ?? '' }]);
    life.telemetry.meters.gauge(
      'cascade.in_flight',
      ofWorkers(({ active }) => active),
    );
    life.telemetry.meters.gauge(
      'cascade.slots',
      ofWorkers(({ pace }) => pace.slots),
    );
  }

  async start(): Promise<void> {
    const abandon = (batch: string, outcome: Outcome): void => {
      for (const worker of this.#workers) worker.abandon(batch, outcome === 'expired' ? 'expired' : 'cancelled');
    };
    this.#listening = await listenForClosed(this.#board, abandon, this.#life.signal);
    for (const worker of this.#workers) worker.start();
    this.#beating = repeat(() => this.#beat(), {
      idleMs: BEAT_MS,
      signal: this.#silence.signal,
      onError: (error) => this.#life.log.debug({ err: error }, 'a heartbeat was not written'),
    });
  }

  /** Tells autoscalers of the workers of this process; never busy. */
  async #beat(): Promise<boolean> {
    const beats = this.#duties.map(async ({ concurrency, sidecar }, index) => {
      const worker = this.#workers[index];
      if (worker === undefined) return;
      const { secondsPerDocument, pace } = worker;
      // What a server of its own takes another replica takes as well; of a shared server another one gets a part only.
      const calls = sidecar ? pace.slots : concurrency;
      await this.#heartbeats[index]?.beat({ secondsPerDocument, resting: pace.resting, concurrency: calls });
    });
    await Promise.all(beats);
    return false;
  }

  /** Not ok without Redis, or while a model server of this process' own is down. */
  async ready(): Promise<Health> {
    const resting = this.#duties.flatMap(({ queue }, index) => {
      const reason = this.#workers[index]?.pace.down ?? null;
      return reason === null ? [] : [`${queue}: ${reason}`];
    });
    if (resting.length > 0) return { ok: false, detail: resting.join(', ') };
    const answer = await within(PROBE_LIMIT_MS, this.#board.client.ping()).catch(() => null);
    return answer === 'PONG' ? { ok: true, detail: 'ready' } : { ok: false, detail: 'Redis does not answer' };
  }

  /**
   * Not ok when work waits and nothing is picked up, though slots are free and the worker does not rest. While Redis does
   * not answer nobody knows that, and a new process would know no more.
   */
  async live(): Promise<Health> {
    for (const [index, { queue }] of this.#duties.entries()) {
      const worker = this.#workers[index];
      if (worker === undefined || worker.active >= worker.pace.slots || worker.pace.isResting) continue;
      if (Date.now() - worker.pickedUpAtMs < WEDGED_LOCKS * this.#lockMs) continue;
      const depth = await within(PROBE_LIMIT_MS, this.#queues.depth(queue)).catch(() => null);
      if (depth !== null && depth.waiting > 0)
        return { ok: false, detail: `${queue}: ${depth.waiting} wait and none is picked up` };
    }
    return { ok: true, detail: 'working' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#silence.abort();
    await this.#beating;
    await Promise.all(this.#heartbeats.map((one) => one.end().catch(() => undefined)));
    await Promise.all(this.#workers.map((worker) => worker.stop(this.#drainMs)));
    await this.#listening?.[Symbol.asyncDispose]();
  }
}
