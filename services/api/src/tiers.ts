import {
  modelFindings,
  readTierName,
  tierName,
  tiersOf,
  WAITING_STATES,
  type Configuration,
  type DatedFindings,
} from '@spillway/core';
import {
  perSecondOf,
  readFindings,
  readShortage,
  readTier,
  readWaiting,
  type Queues,
  type RedisStore,
  type Shortage,
} from '@spillway/redis';
import type { Log } from '@spillway/runtime';
import { z } from 'zod';
import type { Caller } from './auth.ts';
import { askRedis } from './batches/live.ts';
import { refuseOthers } from './metrics.ts';
import type { ScalingSignal } from './scaling.ts';

const count = z.int().min(0);

const tierObject = z
  .strictObject({
    object: z.literal('tier'),
    id: z.string(),
    role: z.enum(['drafter', 'expert']),
    model: z.string().meta({ description: 'By its name in the configuration.' }),
    state: z
      .enum(['closed', ...WAITING_STATES])
      .meta({ description: 'Of its circuit breaker, or why its documents do not move; `closed`: they do.' }),
    reason: z.string().nullable(),
    since: z.int().nullable().meta({ description: 'Unix seconds; null: not known.' }),
    documents: z.strictObject({ waiting: count, delayed: count, active: count }),
    replicas: count.meta({ description: 'Worker processes that are there.' }),
    concurrency: count.nullable().meta({ description: 'Calls at a time of one of them; null: there is none.' }),
    documents_per_second: z
      .number()
      .nullable()
      .meta({ description: 'What its workers can answer; null: nobody has measured it.' }),
    scaling: z
      .strictObject({ required: count, backlog: z.number(), reason: z.string() })
      .nullable()
      .meta({ description: 'Replicas that it needs, and why; null: that cannot be told just now.' }),
    checked_at: z.int().nullable().meta({ description: 'When its model was checked last.' }),
    found: modelFindings.nullable(),
  })
  .meta({ id: 'Tier', description: 'A model in a role: its queue, breaker, workers, and what it needs. For admins.' });

type TierObject = z.input<typeof tierObject>;

export const tierList = z.strictObject({ object: z.literal('list'), data: z.array(tierObject) });

export type TierSources = {
  readonly configuration: Configuration;
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly scaling: ScalingSignal;
  readonly log: Log;
};

/** All tiers of the configuration, drafters first. */
export async function listTiers(sources: TierSources, caller: Caller): Promise<z.input<typeof tierList>> {
  refuseOthers(caller);
  const { configuration, redis, log } = sources;
  const names = tiersOf(configuration).map(({ role, model }) => tierName(role, model));
  const data = await askRedis({ redis, log }, async (store) => {
    const [findings, shortage] = await Promise.all([readFindings(store, names), readShortage(store)]);
    return await Promise.all(names.map((name) => tierOf(sources, name, { shortage, found: findings.get(name) })));
  });
  return { object: 'list', data };
}

async function tierOf(
  { redis, queues, scaling }: TierSources,
  name: string,
  { shortage, found }: { readonly shortage: Shortage; readonly found: DatedFindings | undefined },
): Promise<TierObject> {
  const { role, model } = readTierName(name);
  const [documents, state, waiting, signal] = await Promise.all([
    queues.depth(name),
    readTier(redis, name),
    readWaiting(redis, name),
    scaling.of(role, model).catch(() => null),
  ]);
  const short = shortage[name];
  const held = waiting ?? (short === undefined ? null : { state: 'capacity' as const, ...short });
  return {
    object: 'tier',
    id: name,
    role,
    model,
    state: held?.state ?? 'closed',
    reason: held?.reason ?? null,
    since: held?.sinceMs == null ? null : Math.floor(held.sinceMs / 1000),
    documents,
    replicas: state.replicas,
    concurrency: state.concurrency,
    documents_per_second: perSecondOf(state),
    scaling: signal === null ? null : { required: signal.required, backlog: signal.backlog, reason: signal.reason },
    checked_at: found === undefined ? null : Math.floor(found.atMs / 1000),
    found: found?.found ?? null,
  };
}
