import { scalingOf, tierQueue, type CascadeRules, type ModelSpec, type Role, type Scaling } from '@spillway/core';
import {
  isRecovering,
  liveBatches,
  type Queues,
  readBatch,
  readGate,
  readTier,
  type BatchState,
  type TierState,
} from '@spillway/redis';
import type { Api } from './api.ts';
import { askRedis, recovering } from './batches/live.ts';
import { ApiError, shown } from './errors.ts';

/** Until a tier has been measured, a document is taken to need so long. */
const SECONDS_UNMEASURED = 1;

/** Until enough documents have settled, this share of them is taken to escalate, as so many documents would say. */
const SHARE_UNMEASURED = 0.3;
const SHARE_WEIGHT = 20;

/** An open batch with the cascades that its documents name. */
type OpenBatch = { readonly state: BatchState; readonly rules: readonly CascadeRules[] };

/** Tells how many replicas a tier needs; for an autoscaler, which asks every few seconds. */
export class ScalingSignal {
  readonly #api: Api;
  readonly #queues: Queues;

  constructor(api: Api, queues: Queues) {
    this.#api = api;
    this.#queues = queues;
  }

  async of(role: Role, model: string): Promise<Scaling> {
    const spec = this.#api.configuration.models[model];
    if (spec === undefined || !this.#modelsOf(role).includes(model)) {
      const known = this.#modelsOf(role).join(', ');
      throw new ApiError(
        404,
        `No cascade has '${shown(model)}' as its ${role === 'draft' ? 'drafter' : 'expert'}; there are ${known}.`,
        {
          code: 'no_such_tier',
        },
      );
    }
    return await askRedis(this.#api, async (board) => {
      if (await isRecovering(board)) throw recovering();
      const queue = tierQueue(role, model);
      const [depth, tier, gate, open] = await Promise.all([
        this.#queues.depth(queue),
        readTier(board, queue),
        readGate(board, queue),
        this.#open(),
      ]);
      const own = open.filter(({ rules }) =>
        rules.some((rule) => (role === 'draft' ? rule.drafter : rule.expert) === model),
      );
      const unfed = own.reduce((sum, { state }) => sum + state.total - state.fed, 0);
      const coming = role === 'draft' ? NOTHING_COMES : await this.#coming(model, own, unfed);
      const { scaling } = spec;
      return scalingOf(
        {
          ...depth,
          ...coming,
          unfed: role === 'draft' ? unfed : 0,
          secondsPerDocument: tier.secondsPerDocument ?? SECONDS_UNMEASURED,
          concurrency: tier.concurrency ?? spec.concurrency,
          replicas: tier.replicas,
          gate: gate?.reason ?? null,
          resting: tier.resting,
        },
        { drainSeconds: scaling.drain_s, coldStartSeconds: scaling.cold_start_s, most: scaling.max_replicas },
      );
    });
  }

  #modelsOf(role: Role): string[] {
    const cascades = Object.values(this.#api.configuration.cascades);
    return [...new Set(cascades.map((cascade) => (role === 'draft' ? cascade.drafter : cascade.expert)))];
  }

  async #open(): Promise<OpenBatch[]> {
    const { board, records } = this.#api;
    const batches = (await liveBatches(board)).map(async (id): Promise<OpenBatch[]> => {
      const state = await readBatch(board, id);
      const manifest = state?.phase === 'open' ? await records.manifest(id) : null;
      if (state === null || manifest === null) return [];
      const names = state.model === null ? ((await records.validated(id))?.cascades ?? []) : [state.model];
      const rules = names.flatMap((name) => manifest.cascades[name] ?? []);
      return [{ state, rules }];
    });
    return (await Promise.all(batches)).flat();
  }

  /** What the drafters before an expert still have to do, how fast, and what share of it will come over. */
  async #coming(expert: string, own: readonly OpenBatch[], unfed: number) {
    const drafters = new Set(
      own.flatMap(({ rules }) => rules.filter((rule) => rule.expert === expert).map((rule) => rule.drafter)),
    );
    const tiers = await Promise.all(
      [...drafters].map(async (drafter) => {
        const queue = tierQueue('draft', drafter);
        const [depth, tier] = await Promise.all([this.#queues.depth(queue), readTier(this.#api.board, queue)]);
        return {
          queued: depth.waiting + depth.delayed + depth.active,
          rate: rateOf(tier, this.#api.configuration.models[drafter]),
        };
      }),
    );
    const settled = own.reduce((sum, { state: { counts } }) => sum + counts.accepted + counts.escalated, 0);
    const escalated = own.reduce((sum, { state: { counts } }) => sum + counts.escalated, 0);
    const rate = tiers.reduce((sum, one) => sum + one.rate, 0);
    return {
      toDraft: unfed + tiers.reduce((sum, one) => sum + one.queued, 0),
      escalatedShare: (escalated + SHARE_UNMEASURED * SHARE_WEIGHT) / (settled + SHARE_WEIGHT),
      draftRate: rate > 0 ? rate : null,
    };
  }
}

const NOTHING_COMES = { toDraft: 0, escalatedShare: 0, draftRate: null };

/** Documents per second of all workers of a tier; 0: none is there. */
function rateOf({ replicas, concurrency, secondsPerDocument }: TierState, spec: ModelSpec | undefined): number {
  return (replicas * (concurrency ?? spec?.concurrency ?? 1)) / (secondsPerDocument ?? SECONDS_UNMEASURED);
}
