import { randomUUID } from 'node:crypto';
import {
  batchesOf,
  dropWork,
  knowWork,
  readSummaries,
  readWork,
  redisNowMs,
  reserveWork,
  WORK_LEASE_MS,
  type NotedBatch,
  type RedisStore,
  type WorkReserved,
} from '@spillway/redis';
import { mapConcurrent } from '@spillway/runtime';
import type { Records } from '@spillway/storage';
import type { Caller } from '../auth.ts';
import { askRedis, recovering, type LoggedRedis } from '../batches/live.ts';
import { overTenantLimit } from '../errors.ts';
import { documentsOf } from './documents.ts';

/** What a tenant's work is counted from. */
export type WorkSources = LoggedRedis & { readonly records: Records };

/** A batch that is about to be made, with how many documents it has at most. */
export type BatchToMake = { readonly id: string; readonly documents: number };

/** A batch's place in its tenant's work, until it is made. */
export type HeldWork = AsyncDisposable & {
  /** From now on storage says whether there is such a batch; the place is no longer given back. */
  readonly made: () => void;
  /** Says once more that the batch counts, now that it is in work: Redis may have lost its memory meanwhile. */
  readonly keep: () => Promise<void>;
};

const NOTHING_HELD: HeldWork = {
  made: () => undefined,
  keep: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

const MAX_CONCURRENT_READS = 64;

/** Enough for what is known of a tenant to be told, forgotten by Redis, and told again. */
const MAX_TELLINGS = 5;

type Reserved = Extract<WorkReserved, { kind: 'RESERVED' }>;

/**
 * Takes a batch's place in its tenant's work before the batch is made; refuses it to a tenant that has as much in work as
 * its key allows. Of batches that are made at the same time, by whatever process, each counts those whose place is before
 * its own. The place of a creator that dies goes with its lease, unless storage knows the batch by then.
 */
export async function holdWork(sources: WorkSources, caller: Caller, batch: BatchToMake): Promise<HeldWork> {
  const { tenant, limits } = caller;
  if (limits.open_batches === undefined && limits.queued_documents === undefined) return NOTHING_HELD;
  const { redis, log } = sources;
  const own = { ...batch, token: randomUUID() };
  let reserved = await askRedis(sources, () => reserve(sources, tenant, own));
  let isGivenBack = true;
  const renew = async (): Promise<void> => {
    try {
      const again = await reserveWork(redis, tenant, own);
      if (again.kind === 'RESERVED') reserved = again;
    } catch (error) {
      log.debug({ err: error, batch: own.id }, 'the place of a batch is not renewed');
    }
  };
  const renewal = setInterval(() => void renew(), WORK_LEASE_MS / 3);
  const held: HeldWork = {
    made: () => void (isGivenBack = false),
    keep: renew,
    [Symbol.asyncDispose]: async () => {
      clearInterval(renewal);
      if (!isGivenBack) return;
      await dropWork(redis, tenant, [{ id: own.id, noted: reserved.noted }]).catch(() => undefined);
    },
  };
  try {
    await askRedis(sources, () => refuseOverWork(sources, caller, { batch, reserved }));
    return held;
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

/** Takes the place, and tells Redis what the tenant has in work where it does not know. */
async function reserve(
  sources: WorkSources,
  tenant: string,
  own: BatchToMake & { readonly token: string },
): Promise<Reserved> {
  for (let tellings = 0; tellings < MAX_TELLINGS; tellings += 1) {
    const answer = await reserveWork(sources.redis, tenant, own);
    if (answer.kind === 'RESERVED') return answer;
    if (answer.kind === 'RECOVERING') throw recovering();
    await tell(sources, tenant);
  }
  throw recovering();
}

/** Reads what a tenant has in work, and tells Redis; what ended unseen is struck off. */
async function tell(sources: WorkSources, tenant: string): Promise<void> {
  const { redis, records } = sources;
  await countQueued(sources, tenant, await readWork(redis, tenant));
  const own = await batchesOf(redis, tenant);
  const batches = await mapConcurrent(own, MAX_CONCURRENT_READS, async ([id, { total }]) => {
    if (total > 0) return { id, documents: total };
    // It is not validated yet.
    const manifest = await records.manifest(id);
    return { id, documents: manifest === null ? 0 : await documentsOf(records, tenant, manifest.inputFileId) };
  });
  await knowWork(redis, tenant, batches);
}

async function refuseOverWork(
  sources: WorkSources,
  { tenant, limits }: Caller,
  { batch, reserved }: { readonly batch: BatchToMake; readonly reserved: Reserved },
): Promise<void> {
  const { open_batches: batches = Infinity, queued_documents: documents = Infinity } = limits;
  // All that is noted, what has ended since too: mostly it is known without looking at each.
  if (reserved.batches <= batches && documents === Infinity) return;
  const noted = await readWork(sources.redis, tenant);
  const earlier = noted.filter(({ id, place }) => id !== batch.id && place < reserved.place);
  const inWork = await countQueued(sources, tenant, earlier);
  if (inWork.length >= batches) {
    throw overTenantLimit(`${inWork.length} batches are in work, ${batches} are allowed at a time`);
  }
  const sum = inWork.reduce((all, one) => all + one, 0);
  if (sum < documents && sum + batch.documents <= documents) return;
  const what = `${sum} documents are queued and this batch has up to ${batch.documents}, ${documents} are allowed at a time`;
  throw overTenantLimit(what, { comesFree: batch.documents <= documents && documents > 0 });
}

/** How many documents of each of these batches are queued, of those that are in work; the others are struck off. */
async function countQueued(sources: WorkSources, tenant: string, noted: readonly NotedBatch[]): Promise<number[]> {
  const { redis } = sources;
  const nowMs = await redisNowMs(redis);
  const queued = await mapConcurrent(noted, MAX_CONCURRENT_READS, (one) => queuedOf(sources, one, nowMs));
  const over = noted.filter((_, index) => queued[index] === null);
  await dropWork(redis, tenant, over);
  return queued.filter((one) => one !== null);
}

/** How many documents of a batch that was noted are still to be answered; null: it is not in work (any more). */
async function queuedOf(
  { redis, records }: { readonly redis: RedisStore; readonly records: Records },
  { id, leaseEndsMs, documents }: NotedBatch,
  nowMs: number,
): Promise<number | null> {
  const [summary = null] = await readSummaries(redis, [id]);
  if (summary !== null) {
    const { phase, total, settled } = summary;
    return phase === 'closed' ? null : Math.max(0, (total > 0 ? total : documents) - settled);
  }
  if (leaseEndsMs > nowMs) return documents;
  // Either it ended and was forgotten, or it is not in work yet, or its creator died before there was such a batch.
  const isMade = (await records.manifest(id)) !== null;
  const isOver = isMade && ((await records.ending(id)) !== null || (await records.hasEnded(id)));
  return isMade && !isOver ? documents : null;
}
