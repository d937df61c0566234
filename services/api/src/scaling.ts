import {
  hasFeedingMemory,
  isNearlyFull,
  scalingOf,
  tierQueue,
  type ModelSpec,
  type Role,
  type Scaling,
} from '@spillway/core';
import { isRecovering, memoryUse, pagesInHand, type Queues, readGate, readTier, type TierState } from '@spillway/redis';
import { within } from '@spillway/runtime';
import type { Api } from './api.ts';
import { askRedis, recovering } from './batches/live.ts';
import { OpenBatches, type OpenBatch } from './batches/open.ts';
import { ApiError, shown } from './errors.ts';

/** KEDA waits 3 s for an answer. */
const LIMIT_MS = 2_000;

/** Until a tier has been measured, a document is taken to need so long. */
const SECONDS_UNMEASURED = 1;

/** Until enough documents have been judged, this share of them is taken to escalate, as so many documents would say. */
const SHARE_UNMEASURED = 0.3;
const SHARE_WEIGHT = 20;

/** Tells how many replicas a tier needs; for an autoscaler, which asks every few seconds. */
export class ScalingSignal {
  readonly #api: Api;
  readonly #queues: Queues;
  readonly #open: OpenBatches;

  constructor(api: Api, queues: Queues) {
    this.#api = api;
    this.#queues = queues;
    this.#open = new OpenBatches(api);
  }

  async of(role: Role, model: string): Promise<Scaling> {
    const spec = this.#api.configuration.models[model];
    if (spec === undefined || !this.#modelsOf(role).includes(model)) throw this.#noSuchTier(role, model);
    return await askRedis(this.#api, () => within(LIMIT_MS, this.#ask(role, model, spec)));
  }

  /**
   * A document goes on while this reads: batch, drafter's queue, expert's queue. So they are read in that order, and none
   * is missed; a page that is being fed may be counted twice.
   */
  async #ask(role: Role, model: string, spec: ModelSpec): Promise<Scaling> {
    const { board } = this.#api;
    const queue = tierQueue(role, model);
    const open = await this.#open.read();
    const own = open.filter(({ rules }) =>
      rules.some((rule) => (role === 'draft' ? rule.drafter : rule.expert) === model),
    );
    const drafters = role === 'draft' ? [] : await this.#drafters(model, own);
    const [depth, tier, gate, unfed] = await Promise.all([
      this.#queues.depth(queue),
      readTier(board, queue),
      readGate(board, queue),
      role === 'draft' ? this.#feedable(own, open) : 0,
    ]);
    // What was read of a Redis that lost its memory meanwhile is nothing.
    if (await isRecovering(board)) throw recovering();
    const { drain_s: drainSeconds, cold_start_s: coldStartSeconds, max_replicas: most } = spec.scaling;
    return scalingOf(
      {
        ...depth,
        ...(role === 'draft' ? NOTHING_COMES : comingOf(own, drafters, depth)),
        unfed,
        secondsPerDocument: tier.secondsPerDocument ?? SECONDS_UNMEASURED,
        concurrency: tier.concurrency ?? spec.concurrency,
        replicas: tier.replicas,
        gate: gate ?? (spec.sidecar ? null : tier.resting),
        resting: spec.sidecar ? tier.resting : null,
      },
      { drainSeconds, coldStartSeconds, most },
    );
  }

  #modelsOf(role: Role): string[] {
    const cascades = Object.values(this.#api.configuration.cascades);
    return [...new Set(cascades.map((cascade) => (role === 'draft' ? cascade.drafter : cascade.expert)))];
  }

  #noSuchTier(role: Role, model: string): ApiError {
    const known = this.#modelsOf(role).join(', ');
    const name = role === 'draft' ? 'drafter' : 'expert';
    const message = `No cascade has '${shown(model)}' as its ${name}; there are ${known}.`;
    return new ApiError(404, message, { code: 'no_such_tier' });
  }

  /** Documents that are not fed yet, of batches that can be: more drafters do not help where experts are far behind. */
  async #feedable(own: readonly OpenBatch[], open: readonly OpenBatch[]): Promise<number> {
    const { board } = this.#api;
    const [pages, memory] = await Promise.all([pagesInHand(board), memoryUse(board)]);
    const heldBytes = pages.reduce((sum, { bytes }) => sum + bytes, 0);
    if (!hasFeedingMemory(memory, heldBytes)) return 0;
    const experts = new Map(open.map(({ id, rules }) => [id, new Set(rules.map(({ expert }) => expert))]));
    const inHand = new Map<string, number>();
    for (const { batch, bytes } of pages) {
      for (const expert of experts.get(batch) ?? []) inHand.set(expert, (inHand.get(expert) ?? 0) + bytes);
    }
    return unfedOf(own.filter(({ rules }) => !rules.some(({ expert }) => isNearlyFull(inHand.get(expert) ?? 0))));
  }

  /** The drafters before an expert: what is in their queues, and how fast they are. */
  async #drafters(expert: string, own: readonly OpenBatch[]): Promise<Drafter[]> {
    const { board, configuration } = this.#api;
    const names = new Set(
      own.flatMap(({ rules }) => rules.filter((rule) => rule.expert === expert).map((rule) => rule.drafter)),
    );
    return await Promise.all(
      [...names].map(async (drafter) => {
        const queue = tierQueue('draft', drafter);
        const [depth, tier] = await Promise.all([this.#queues.depth(queue), readTier(board, queue)]);
        const rate = rateOf(tier, configuration.models[drafter]?.concurrency ?? 1);
        return { queued: documentsOf(depth), rate };
      }),
    );
  }
}

type Depth = { readonly waiting: number; readonly delayed: number; readonly active: number };
type Drafter = { readonly queued: number; readonly rate: number };

const NOTHING_COMES = { toDraft: 0, escalatedShare: 0, draftRate: null };

const documentsOf = ({ waiting, delayed, active }: Depth): number => waiting + delayed + active;

const unfedOf = (batches: readonly OpenBatch[]): number =>
  batches.reduce((sum, { state }) => sum + state.total - state.fed, 0);

/**
 * What an expert's drafters still have to do, how fast, and what share of it will come over. Escalated documents are
 * those that the expert is done with and those in its queue: while it is not there yet only the latter grow.
 */
function comingOf(own: readonly OpenBatch[], drafters: readonly Drafter[], depth: Depth) {
  const waiting = documentsOf(depth);
  const accepted = own.reduce((sum, { state }) => sum + state.counts.accepted, 0);
  const escalated = own.reduce((sum, { state }) => sum + state.counts.escalated, 0) + waiting;
  const rate = drafters.reduce((sum, one) => sum + one.rate, 0);
  return {
    toDraft: unfedOf(own) + drafters.reduce((sum, { queued }) => sum + queued, 0),
    escalatedShare: (escalated + SHARE_UNMEASURED * SHARE_WEIGHT) / (accepted + escalated + SHARE_WEIGHT),
    draftRate: rate > 0 ? rate : null,
  };
}

/** Documents per second of all workers of a tier; 0: none is there. */
function rateOf({ replicas, concurrency, secondsPerDocument }: TierState, configured: number): number {
  return (replicas * (concurrency ?? configured)) / (secondsPerDocument ?? SECONDS_UNMEASURED);
}
