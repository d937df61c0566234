import { drawingPilot, estimatingAim, maxNanoUsd, MAX_USD_KEY, rateOf, type Drawn } from '@spillway/core';
import { runSliced, type Calibrations } from '@spillway/runtime';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../auth.ts';
import { checkLabels } from '../batches/create.ts';
import { writingRequests, type CreateBody } from '../batches/create-body.ts';
import { digestingOrder, readOrder } from '../batches/order.ts';
import { rulesFor } from '../batches/place.ts';
import { tooMany, unavailable } from '../errors.ts';
import type { BatchEstimate } from '../schemas/estimate.ts';
import { TenantShares } from '../tenant-shares.ts';
import { estimateAnswer, invalidEstimate } from './answer.ts';
import { checkInput, rulesIn, type Checked, type OrderedBatch } from './checked.ts';
import { pilotProblem, PilotRun, type Pilot, type PilotSources } from './pilot.ts';
import { timeOf, type TierSources } from './tiers.ts';

export type DryRunsOptions = PilotSources &
  TierSources & {
    readonly calibrations: Calibrations;
    /** Whether there are several tenants, of whom none may keep the others out. */
    readonly isShared: boolean;
  };

/** Each holds a stream, some 60 bytes a line and eight documents of a pilot. */
const MAX_AT_ONCE = 4;

const RETRY_SECONDS = 5;

/** Samples of a batch are drawn by its id; of this one nothing is. */
const NO_BATCH = 'dry_run';

export type DryRunCall = {
  readonly caller: Caller;
  readonly reply: FastifyReply;
  readonly given: CreateBody;
  /** 0: none. */
  readonly pilot: number;
};

/** Says what batches would be, and makes nothing. */
export class DryRuns {
  readonly #options: DryRunsOptions;
  readonly #underWay: TenantShares;

  constructor(options: DryRunsOptions) {
    this.#options = options;
    this.#underWay = new TenantShares(MAX_AT_ONCE, options);
  }

  /** The answer; a client that goes ends it, and the pilot's calls. */
  async answer({ caller, reply, given, pilot }: DryRunCall): Promise<BatchEstimate> {
    const order = readOrder(given.body);
    const { tenant } = caller;
    await checkLabels(this.#options, caller, order.metadata);
    const short = this.#underWay.take(tenant, 1);
    if (short === 'own')
      throw tooMany('Too many dry runs are under way at once. Try again in a moment.', RETRY_SECONDS);
    if (short === 'all')
      throw unavailable('Too many dry runs are under way at once. Try again in a moment.', RETRY_SECONDS);
    const gone = new AbortController();
    const leave = (): void => gone.abort('cancelled');
    reply.raw.once('close', leave);
    // Nothing is sent until all is known.
    reply.raw.setTimeout(0);
    if (reply.raw.destroyed) leave();
    try {
      const requests = given.requests === null ? [] : await runSliced(writingRequests(given.requests));
      const key = await runSliced(digestingOrder(order, requests));
      const cascades = rulesFor(this.#options, order);
      const { endpoint, metadata, input } = order;
      return await this.#run(
        { id: NO_BATCH, tenant, endpoint, metadata, cascades, input, requests },
        { key, pilot, signal: gone.signal },
      );
    } finally {
      this.#underWay.giveBack(tenant, 1);
      reply.raw.off('close', leave);
    }
  }

  async #run(
    batch: OrderedBatch,
    { key, pilot: asked, signal }: { readonly key: string; readonly pilot: number; readonly signal: AbortSignal },
  ): Promise<BatchEstimate> {
    const checked = await checkInput(this.#options, batch, signal);
    if (checked.errors.length > 0) return invalidEstimate(checked);
    const { sizes } = checked;
    const rules = rulesIn(checked, batch);
    const drawn = await runSliced(drawingPilot(sizes, rules.map(rateOf), asked, key));
    const { pilot, notes } = await this.#pilot(batch, { checked, drawn, asked, signal });
    const [only] = rules;
    // Of several cascades, and of a pilot that was not run, there is nothing that says it.
    const aim =
      pilot === null || pilot.judged.length === 0 || only?.aim === undefined
        ? null
        : await runSliced(estimatingAim(pilot.judged, { rules: only, documents: drawn.population.documents, key }));
    const time = await timeOf(this.#options, {
      cascades: rules.map((own, place) => ({ rules: own, documents: sizes.countOf(place) })),
      pilot:
        pilot === null || pilot.documents.length === 0
          ? null
          : { documents: pilot.documents, population: drawn.population, reach: aim?.reach ?? null },
    });
    return estimateAnswer({ batch, checked, rules, drawn, pilot, aim, time, notes });
  }

  async #pilot(
    batch: OrderedBatch,
    {
      checked,
      drawn,
      asked,
      signal,
    }: { readonly checked: Checked; readonly drawn: Drawn; readonly asked: number; readonly signal: AbortSignal },
  ): Promise<{ readonly pilot: Pilot | null; readonly notes: readonly string[] }> {
    if (asked === 0)
      return { pilot: null, notes: ['Shares and money are known by a pilot only: `pilot=50` runs one.'] };
    const problem = pilotProblem(this.#options, rulesIn(checked, batch));
    if (problem !== null) return { pilot: null, notes: [`There was no pilot: ${problem}`] };
    const cap = maxNanoUsd(batch.metadata);
    const mostNanoUsd = typeof cap === 'number' ? cap : Infinity;
    const run = new PilotRun(this.#options, { batch, checked, drawn, mostNanoUsd });
    if (run.mostNanoUsd > mostNanoUsd) {
      const usd = (nanoUsd: number): string => `$${Number((nanoUsd / 1e9).toPrecision(3))}`;
      const why = `it might cost up to ${usd(run.mostNanoUsd)}, and ${MAX_USD_KEY} is ${usd(mostNanoUsd)}.`;
      return { pilot: null, notes: [`There was no pilot: ${why}`] };
    }
    return { pilot: await run.run(signal), notes: [] };
  }
}
