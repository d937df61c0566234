import {
  askedWork,
  hasEnqueueMemory,
  isNearlyFull,
  pageOfDocument,
  modelsOfRole,
  scalingOf,
  stageCounts,
  stageTier,
  tierName,
  workLeft,
  type Configuration,
  type Due,
  type Role,
  type Scaling,
  type Tier,
} from '@spillway/core';
import {
  isRecovering,
  memoryUse,
  perSecondOf,
  readBreaker,
  readTier,
  type Queues,
  type RedisStore,
  type TierState,
} from '@spillway/redis';
import { within, type Log } from '@spillway/runtime';
import type { Records } from '@spillway/storage';
import { askRedis, recovering } from './batches/live.ts';
import { OpenBatches, type OpenBatch, type OpenInFlight } from './batches/open.ts';
import { ApiError, shown } from './errors.ts';
import { tierOrder, upstreamOf, type OpenWork, type TierFigures } from './upstream.ts';

/** KEDA waits 3 s for an answer. */
const MAX_ANSWER_MS = 2_000;

/** Until a tier has been measured, a document is taken to need so long. */
const SECONDS_UNMEASURED = 1;

type Sources = {
  readonly configuration: Configuration;
  readonly records: Records;
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly log: Log;
};

/** A tier as Redis knows it. */
type TierReading = TierFigures & {
  readonly depth: Awaited<ReturnType<Queues['depth']>>;
  readonly state: TierState;
};

/** Computes how many replicas a tier needs; for an autoscaler, which asks every few seconds. */
export class ScalingSignal {
  readonly #sources: Sources;
  readonly #open: OpenBatches;

  constructor(sources: Sources) {
    this.#sources = sources;
    this.#open = new OpenBatches(sources);
  }

  async of(role: Role, model: string): Promise<Scaling> {
    const { models, cascades } = this.#sources.configuration;
    const known = modelsOfRole(Object.values(cascades), role);
    if (models[model] === undefined || !known.includes(model)) throw noSuchTier(role, model, known);
    return await askRedis(this.#sources, () => within(MAX_ANSWER_MS, this.#ask({ role, model })));
  }

  /**
   * A document goes on while this reads: from its batch to the queue of its first stage, and from queue to queue. So
   * they are read in that order, and none is missed; a document that moves meanwhile may be counted twice.
   */
  async #ask({ role, model }: Tier): Promise<Scaling> {
    const { redis, configuration } = this.#sources;
    const tier = tierName(role, model);
    const all = await this.#open.read();
    const [paused, moving] = [
      all.batches.filter(({ state }) => state.paused),
      all.batches.filter(({ state }) => !state.paused),
    ];
    const open = { ...all, batches: moving };
    const work = open.batches.map(workOf);
    const tiers = new Map<string, TierReading>();
    for (const group of tierOrder(tier, work)) {
      const readings = await Promise.all(group.map(async (name) => [name, await this.#read(name, paused)] as const));
      for (const [name, reading] of readings) tiers.set(name, reading);
    }
    const others = new Set(open.batches.flatMap(({ plan }) => plan.tiers)).difference(tiers);
    await Promise.all([...others].map(async (name) => tiers.set(name, await this.#read(name, paused))));
    const [{ depth, state }, breaker, notEnqueued] = await Promise.all([
      tiers.get(tier) ?? this.#read(tier, paused),
      readBreaker(redis, tier),
      this.#notEnqueued(tier, open),
    ]);
    // What was read of a Redis that lost its memory meanwhile is nothing.
    if (await isRecovering(redis)) throw recovering();
    const spec = configuration.models[model];
    if (spec === undefined) throw new Error(`no model ${model}`);
    const { drain_s: drainSeconds, cold_start_s: coldStartSeconds, max_replicas: maxReplicas } = spec.scaling;
    return scalingOf(
      {
        ...depth,
        notEnqueued,
        upstream: upstreamOf(tier, work, tiers),
        due: dueIn(tier, open.batches, tiers),
        secondsPerDocument: state.secondsPerDocument ?? SECONDS_UNMEASURED,
        concurrency: state.concurrency ?? spec.concurrency,
        replicas: state.replicas,
        breaker: breaker.reason ?? (spec.sidecar ? null : state.paused),
        paused: spec.sidecar ? state.paused : null,
      },
      { drainSeconds, coldStartSeconds, maxReplicas },
    );
  }

  async #read(tier: string, paused: readonly OpenBatch[]): Promise<TierReading> {
    const { redis, queues } = this.#sources;
    const [all, state] = await Promise.all([queues.depth(tier), readTier(redis, tier)]);
    const depth = { ...all, delayed: movingOf(all.delayed, tier, paused) };
    const { waiting, delayed, active } = depth;
    const { secondsPerDocument } = state;
    const perSecond = perSecondOf({ ...state, secondsPerDocument: secondsPerDocument ?? SECONDS_UNMEASURED });
    return { depth, state, queued: waiting + delayed + active, perSecond };
  }

  /**
   * Documents that are not enqueued yet, of batches whose cascades begin with a tier and that can be enqueued: more
   * replicas do not help where a later tier is far behind.
   */
  async #notEnqueued(tier: string, { batches, pages }: OpenInFlight): Promise<number> {
    const own = batches.filter(({ plan }) => plan.firstTiers.includes(tier));
    if (own.length === 0) return 0;
    const memory = await memoryUse(this.#sources.redis);
    const heldBytes = pages.reduce((sum, { bytes }) => sum + bytes, 0);
    if (!hasEnqueueMemory(memory, heldBytes)) return 0;
    const ways = new Map(batches.map(({ id, plan }) => [id, plan.way]));
    const inFlight = new Map<string, number>();
    for (const { batch, bytes } of pages) {
      const way = ways.get(batch);
      if (way !== undefined) inFlight.set(way, (inFlight.get(way) ?? 0) + bytes);
    }
    const canBeEnqueued = (batch: OpenBatch): boolean =>
      !isNearlyFull(inFlight.get(batch.plan.way) ?? 0, nextPageBytes(batch));
    return own.filter(canBeEnqueued).reduce((sum, batch) => sum + notEnqueuedOf(batch), 0);
  }
}

/**
 * Of the documents that come again later those that nobody paused. Where the documents of a paused batch are is not
 * counted anywhere; so of those that may be others' one stays, and with it a worker that finds out.
 */
function movingOf(delayed: number, tier: string, paused: readonly OpenBatch[]): number {
  const own = paused.filter(({ plan }) => plan.tiers.includes(tier));
  const held = own.reduce((sum, { state }) => {
    const { completed, failed } = state.counts;
    return sum + Math.max(0, state.enqueued - completed - failed);
  }, 0);
  return Math.max(Math.min(1, delayed), delayed - held);
}

/** What the next page of a batch takes; 0: there is none. */
function nextPageBytes({ state, plan }: OpenBatch): number {
  const page = plan.pages[pageOfDocument(plan.pages, state.enqueued) ?? plan.pages.length];
  return page === undefined ? 0 : page.bytes;
}

/** How far a batch is in those documents that are asked about. */
function askedIn({ state, plan }: OpenBatch) {
  const { total, enqueued, counts } = state;
  const { completed, failed, copied = 0, kept = 0 } = counts;
  const done = { total, enqueued, settled: completed + failed, copied, kept };
  return askedWork(done, plan.copies, (document) => pageOfDocument(plan.pages, document));
}

function notEnqueuedOf(batch: OpenBatch): number {
  const { total, enqueued } = askedIn(batch);
  return total - enqueued;
}

/** What a tier has to answer for each open batch that goes through it, and in which time. */
function dueIn(tier: string, batches: readonly OpenBatch[], tiers: ReadonlyMap<string, TierReading>): Due[] {
  const queued = new Map([...tiers].map(([name, reading]) => [name, reading.queued]));
  const nowMs = Date.now();
  return batches.flatMap((batch) => {
    const { counts, expiresAtMs } = batch.state;
    const work = { ...askedIn(batch), escalated: counts.escalated };
    const documents = workLeft(work, batch.plan, queued).get(tier) ?? 0;
    return documents > 0 ? [{ documents, seconds: Math.max(0, expiresAtMs - nowMs) / 1_000 }] : [];
  });
}

/** What of an open batch says what will come to a tier. */
function workOf(batch: OpenBatch): OpenWork {
  const { state, plan } = batch;
  const cascades = Object.entries(plan.cascades).map(([name, rules]) => ({
    tiers: rules.stages.map((_, stage) => stageTier(rules, stage)),
    settled: rules.stages.map((_, stage) => {
      const { accepted, escalated, skipped } = stageCounts(state.counts, name, stage);
      return { accepted, escalated: escalated + skipped };
    }),
  }));
  return { notEnqueued: notEnqueuedOf(batch), cascades };
}

function noSuchTier(role: Role, model: string, known: readonly string[]): ApiError {
  const message = `No cascade has '${shown(model)}' as its ${role}; there are ${known.join(', ')}.`;
  return new ApiError(404, message, { code: 'no_such_tier' });
}
