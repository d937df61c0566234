import type { StageModel } from '@spillway/cascade';
import { tierLabels, type Outcome } from '@spillway/core';
import { Heartbeat, HEARTBEAT_MS, listenForClosed, readBreaker, type Queues, type RedisStore } from '@spillway/redis';
import { MAX_PROBE_MS, repeat, within, type Health, type Life, type Reading } from '@spillway/runtime';
import type { DocumentWorker } from './document-worker.ts';
import type { RulesCache } from './rules-cache.ts';
import { TierWorker } from './tier-worker.ts';

/** One tier as a worker process serves it. */
export type TierDuty = {
  readonly tier: string;
  readonly concurrency: number;
  readonly sidecar: boolean;
  readonly documents: DocumentWorker;
  readonly model: StageModel;
  /** Resolves when enough is known of the model's server to take documents; never later than after a moment. */
  readonly checked: Promise<void>;
};

export type TierWorkersOptions = {
  readonly lockMs: number;
  /** How long calls in flight may still take when the process stops. */
  readonly drainMs: number;
};

type Served = TierDuty & { readonly worker: TierWorker; readonly heartbeat: Heartbeat };

/** A Redis that is away learns by silence that a worker has gone. */
const MAX_GOODBYE_MS = 1_000;

/** Work is waiting and nothing was taken up for so many times the lock, with calls to spare: the worker is wedged. */
const WEDGED_LOCKS = 4;

/** The workers of a process, one per tier, started and stopped together. */
export class TierWorkers implements AsyncDisposable {
  readonly #redis: RedisStore;
  readonly #queues: Queues;
  readonly #served: readonly Served[];
  readonly #options: TierWorkersOptions;
  readonly #life: Life;
  readonly #silence = new AbortController();
  #beating: Promise<void> | null = null;
  #listening: AsyncDisposable | null = null;

  constructor(
    { redis, queues, rules }: { readonly redis: RedisStore; readonly queues: Queues; readonly rules: RulesCache },
    duties: readonly TierDuty[],
    options: TierWorkersOptions,
    life: Life,
  ) {
    this.#redis = redis;
    this.#queues = queues;
    this.#options = options;
    this.#life = life;
    const { lockMs } = options;
    this.#served = duties.map((duty) => {
      const { tier, concurrency, sidecar, documents, model } = duty;
      const parts = { documents, rules, model, queues };
      const worker = new TierWorker(redis, { tier, concurrency, sidecar, lockMs, life }, parts);
      return { ...duty, worker, heartbeat: new Heartbeat(redis, tier) };
    });
    const ofWorkers = (read: (worker: TierWorker) => number) => (): Reading =>
      this.#served.map(({ tier, worker }) => [read(worker), tierLabels(tier)]);
    const { meters } = life.telemetry;
    meters.gauge(
      'cascade.in_flight',
      ofWorkers(({ active }) => active),
    );
    meters.gauge(
      'cascade.concurrency.limit',
      ofWorkers(({ limit }) => limit),
    );
  }

  /** Each tier begins by itself; resolves when all have. */
  async start(): Promise<void> {
    const abandon = (batch: string, outcome: Outcome): void => {
      for (const { worker } of this.#served) worker.abandon(batch, outcome === 'expired' ? 'expired' : 'cancelled');
    };
    this.#listening = await listenForClosed(this.#redis, abandon, this.#life.signal);
    await Promise.all(this.#served.map(({ tier }) => this.#reportWaiting(tier)));
    this.#beating = repeat(() => this.#beat(), {
      idleMs: HEARTBEAT_MS,
      signal: this.#silence.signal,
      onError: (error) => this.#life.log.debug({ err: error }, 'a heartbeat was not written'),
    });
    const starts = this.#served.map(async ({ worker, checked }) => {
      await checked;
      worker.start();
    });
    await Promise.all(starts);
  }

  /** A worker that starts while its tier's breaker is not closed would else wait without a line. */
  async #reportWaiting(tier: string): Promise<void> {
    const { state, reason } = await readBreaker(this.#redis, tier);
    if (state !== 'closed') this.#life.log.warn({ tier, state, reason }, 'this worker waits for its model server');
  }

  /** Tells autoscalers of the workers of this process; never busy. */
  async #beat(): Promise<boolean> {
    const beats = this.#served.map(async ({ worker, heartbeat, concurrency, sidecar }) => {
      const { secondsPerDocument, limit, pause } = worker;
      // What a server of its own takes another replica takes as well; of a shared server another one gets a part only.
      const calls = sidecar ? limit : concurrency;
      await heartbeat.beat({ secondsPerDocument, paused: pause.ownReason, concurrency: calls });
    });
    await Promise.all(beats);
    return false;
  }

  /** After the last heartbeat, which would take it back. */
  async #sayGoodbye(): Promise<void> {
    await this.#beating;
    await Promise.all(this.#served.map(({ heartbeat }) => heartbeat.end()));
  }

  /** Not ok without Redis, or while a model server of this process' own is down. */
  async ready(): Promise<Health> {
    const down = this.#served.flatMap(({ tier, worker }) => {
      const reason = worker.pause.downReason;
      return reason === null ? [] : [`${tier}: ${reason}`];
    });
    if (down.length > 0) return { ok: false, detail: down.join(', ') };
    const answer = await within(MAX_PROBE_MS, this.#redis.client.ping()).catch(() => null);
    return answer === 'PONG' ? { ok: true, detail: 'ready' } : { ok: false, detail: 'Redis does not answer' };
  }

  /**
   * Not ok when work waits and nothing is taken up, though the worker has calls to spare and does not pause. While Redis
   * does not answer nobody knows that, and a new process would know no more.
   */
  async live(): Promise<Health> {
    for (const { tier, worker } of this.#served) {
      if (!worker.isFree) continue;
      if (performance.now() - worker.takenUpAtMs < WEDGED_LOCKS * this.#options.lockMs) continue;
      const depth = await within(MAX_PROBE_MS, this.#queues.depth(tier)).catch(() => null);
      if (depth !== null && depth.waiting > 0) {
        return { ok: false, detail: `${tier}: ${depth.waiting} wait and none is taken up` };
      }
    }
    return { ok: true, detail: 'working' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#silence.abort();
    const goodbye = within(MAX_GOODBYE_MS, this.#sayGoodbye()).catch(() => undefined);
    await Promise.all([goodbye, ...this.#served.map(({ worker }) => worker.stop(this.#options.drainMs))]);
    await this.#listening?.[Symbol.asyncDispose]();
  }
}
