import { randomBytes } from 'node:crypto';
import {
  batchIdOf,
  batchIdOfKey,
  KEYS,
  LIMITS,
  liveBatch,
  RECORD_VERSION,
  RECORDS,
  runsShadow,
  snapshotRules,
  type BatchObject,
  type Configuration,
  type Manifest,
} from '@spillway/core';
import { admit, isRecovering, memoryShare } from '@spillway/redis';
import { within, type Calibrations } from '@spillway/runtime';
import { createRecord, type Storage } from '@spillway/storage';
import type { Caller } from '../auth.ts';
import { badRequest, conflict, unavailable } from '../errors.ts';
import { refuseOverWork } from '../quota.ts';
import type { Tenants } from '../tenants.ts';
import { askRedis, recovering, type LoggedRedis } from './live.ts';
import type { BatchOrder } from './order.ts';
import { describeBatch, type BatchSources } from './show.ts';

const EMPTY = Buffer.from('{}');

/** Memory comes free as documents are settled, not at once. */
const FULL_RETRY_SECONDS = 10;

/** The batch stands already; its client need not wait for Redis. */
const MAX_ANNOUNCE_MS = 2_000;

/** What batches are made from: where they are written, and the rules of the moment. */
export type BatchPlaces = BatchSources & {
  readonly storage: Storage;
  readonly tenants: Tenants;
  readonly configuration: Configuration;
  readonly calibrations: Calibrations;
};

/** What a batch is made of. `input` is stored once it is known that there is capacity for the batch. */
export type BatchSeed = {
  readonly order: Omit<BatchOrder, 'input'>;
  readonly input: (id: string) => Promise<string>;
  readonly idempotencyKey: string | null;
  readonly requestDigest: string;
};

/** Makes a batch. The manifest is what makes it: once it stands the answer is 200, whatever Redis does. */
export async function placeBatch(places: BatchPlaces, caller: Caller, seed: BatchSeed): Promise<BatchObject> {
  const { tenant } = caller;
  const { storage, records, tenants } = places;
  const { order, idempotencyKey, requestDigest } = seed;
  const id = idOf(tenant, idempotencyKey);
  if (idempotencyKey !== null) {
    const standing = await records.manifest(id);
    if (standing !== null) return sameBatch(places, standing, requestDigest);
  }
  await refuseWithoutCapacity(places);
  await refuseOverWork(places, caller);

  const manifest = manifestOf(places, order, { id, tenant, requestDigest, inputFileId: await seed.input(id) });
  const indexKey = KEYS.tenantBatch(tenant, manifest.createdAtMs, id);
  await tenants.note(tenant);
  await Promise.all([storage.create(KEYS.openMark(id), EMPTY), storage.create(indexKey, EMPTY)]);
  const written = await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifest);
  if (written.kind === 'exists') return adopt(places, written.record, { indexKey, requestDigest });
  // The mark may have been left by an unfinished create of days ago, and garbage collection may have taken it away since.
  if (idempotencyKey !== null) await storage.create(KEYS.openMark(id), EMPTY);
  await announce(places, written.record);
  return liveBatch(written.record, null);
}

function idOf(tenant: string, idempotencyKey: string | null): string {
  if (idempotencyKey === null) return batchIdOf(randomBytes(16));
  if (idempotencyKey.length > LIMITS.idempotencyKeyCharacters) {
    const message = `Invalid 'Idempotency-Key': at most ${LIMITS.idempotencyKeyCharacters} characters are allowed.`;
    throw badRequest(message, { param: 'Idempotency-Key', code: 'string_above_max_length' });
  }
  return batchIdOfKey(tenant, idempotencyKey);
}

async function refuseWithoutCapacity(logged: LoggedRedis): Promise<void> {
  const [isLost, share] = await askRedis(logged, (redis) => Promise.all([isRecovering(redis), memoryShare(redis)]));
  if (isLost) throw recovering();
  if (share >= LIMITS.createMemoryShare) {
    throw unavailable('The service has as much work in flight as it can hold. Try again later.', FULL_RETRY_SECONDS);
  }
}

type Own = Pick<Manifest, 'id' | 'tenant' | 'requestDigest' | 'inputFileId'>;

function manifestOf(
  { configuration, calibrations }: Pick<BatchPlaces, 'configuration' | 'calibrations'>,
  order: BatchSeed['order'],
  own: Own,
): Manifest {
  const { windowMs, ...asked } = order;
  const createdAtMs = Date.now();
  const expiresAtMs = createdAtMs + windowMs;
  return {
    v: RECORD_VERSION,
    ...own,
    ...asked,
    createdAtMs,
    expiresAtMs,
    cascades: snapshotRules(configuration, calibrations.current(), runsShadow(asked.metadata) === true),
  };
}

/** Somebody else made the batch of this Idempotency-Key a moment ago. */
async function adopt(
  { storage, ...sources }: BatchSources & { readonly storage: Storage },
  standing: Manifest,
  own: { indexKey: string; requestDigest: string },
): Promise<BatchObject> {
  // Lists pass over an index key whose time is not the manifest's; removing it only spares them the reading.
  if (own.indexKey !== KEYS.tenantBatch(standing.tenant, standing.createdAtMs, standing.id)) {
    await storage.remove(own.indexKey);
  }
  return sameBatch(sources, standing, own.requestDigest);
}

function sameBatch(sources: BatchSources, standing: Manifest, requestDigest: string): Promise<BatchObject> {
  if (standing.requestDigest === requestDigest) return describeBatch(sources, standing);
  throw conflict('This Idempotency-Key was used before, with another request.', 'idempotency_key_reused');
}

/** Takes the batch into work in Redis; when that fails, the dispatcher finds it by its open mark. */
async function announce({ redis, log }: LoggedRedis, manifest: Manifest): Promise<void> {
  const { id, tenant, createdAtMs, expiresAtMs } = manifest;
  try {
    const answer = await within(MAX_ANNOUNCE_MS, admit(redis, id, { tenant, createdAtMs, expiresAtMs }));
    if (answer === 'RECOVERING') log.info({ batch: id }, 'a new batch waits for the recovery');
  } catch (error) {
    log.warn({ err: error, batch: id }, 'a new batch waits for Redis');
  }
}
