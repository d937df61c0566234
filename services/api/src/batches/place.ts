import { randomBytes } from 'node:crypto';
import {
  batchIdOf,
  KEYS,
  LIMITS,
  liveBatch,
  RECORD_VERSION,
  RECORDS,
  runsShadow,
  snapshotRules,
  takenOver,
  wantsDeduplicated,
  withSettings,
  type BatchObject,
  type Configuration,
  type Manifest,
} from '@spillway/core';
import { admit, isRecovering, memoryShare } from '@spillway/redis';
import { within, type Calibrations } from '@spillway/runtime';
import { createRecord, type Storage } from '@spillway/storage';
import type { Caller } from '../auth.ts';
import { conflict, unavailable } from '../errors.ts';
import { holdWork, type HeldWork } from '../quota/open-work.ts';
import type { Tenants } from '../tenants.ts';
import { askRedis, recovering, type LoggedRedis } from './live.ts';
import { unfitThresholds, type BatchOrder } from './order.ts';
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

/** Where a batch's requests lie, and whose they were. */
type BatchInput = { readonly fileId: string } & Pick<Manifest, 'retry' | 'redecided'>;

/** What a batch is made of. `input` is stored once it is known that there is capacity for the batch. */
export type BatchSeed = {
  readonly order: Omit<BatchOrder, 'input'>;
  readonly input: (id: string) => Promise<BatchInput>;
  /** How many documents there will be at most. */
  readonly documents: () => Promise<number>;
  /** The id that whoever asks for the same batch derives; null: nobody else asks for this one. */
  readonly derivedId: string | null;
  /** The rules in force of the batch that the documents are of; absent: they are of none. */
  readonly before?: Manifest['cascades'] | undefined;
  /** The rules of its cascades; absent: those of the configuration, with the thresholds that it asks for. */
  readonly cascades?: Manifest['cascades'] | undefined;
  readonly requestDigest: string;
};

/** Makes a batch. The manifest is what makes it: once it stands the answer is 200, whatever Redis does. */
export async function placeBatch(places: BatchPlaces, caller: Caller, seed: BatchSeed): Promise<BatchObject> {
  const { tenant } = caller;
  const { storage, records, tenants } = places;
  const { order, derivedId, requestDigest } = seed;
  const id = derivedId ?? batchIdOf(randomBytes(16));
  if (derivedId !== null) {
    const standing = await records.manifest(id);
    if (standing !== null) return sameBatch(places, standing, requestDigest);
  }
  await refuseWithoutCapacity(places);
  await using work = await holdWork(places, caller, { id, documents: await seed.documents() });

  const { fileId: inputFileId, ...origin } = await seed.input(id);
  const manifest = manifestOf(places, seed, { id, tenant, requestDigest, inputFileId, ...origin });
  const indexKey = KEYS.tenantBatch(tenant, manifest.createdAtMs, id);
  await tenants.note(tenant);
  await Promise.all([storage.create(KEYS.openMark(id), EMPTY), storage.create(indexKey, EMPTY)]);
  work.made();
  const written = await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifest);
  if (written.kind === 'exists') return adopt(places, written.record, { indexKey, requestDigest });
  // The mark may have been left by an unfinished create of days ago, and garbage collection may have taken it away since.
  if (derivedId !== null) await storage.create(KEYS.openMark(id), EMPTY);
  places.log.info({ batch: id, tenant, file: inputFileId, windowMs: order.windowMs }, 'created');
  await announce(places, written.record, work);
  return liveBatch(written.record, null);
}

async function refuseWithoutCapacity(logged: LoggedRedis): Promise<void> {
  const [isLost, share] = await askRedis(logged, (redis) => Promise.all([isRecovering(redis), memoryShare(redis)]));
  if (isLost) throw recovering();
  if (share >= LIMITS.createMemoryShare) {
    throw unavailable('The service has as much work in flight as it can hold. Try again later.', FULL_RETRY_SECONDS);
  }
}

/** What of an order says by which rules its batch is answered; `before`: those in force of the batch that it is of. */
type RuledOrder = Pick<BatchOrder, 'metadata' | 'endpoint' | 'thresholds'> & {
  readonly before?: Manifest['cascades'] | undefined;
};

type Own = Pick<Manifest, 'id' | 'tenant' | 'requestDigest' | 'inputFileId' | 'retry' | 'redecided'>;

function manifestOf(places: BatchPlaces, { order, before, cascades }: BatchSeed, own: Own): Manifest {
  const { windowMs, thresholds: _settings, ...asked } = order;
  const createdAtMs = Date.now();
  return {
    v: RECORD_VERSION,
    ...own,
    ...asked,
    createdAtMs,
    expiresAtMs: createdAtMs + windowMs,
    cascades: cascades ?? rulesFor(places, { ...order, before }),
  };
}

/** The rules of the cascades as they are now, for a batch of this order. */
export function rulesFor(
  { configuration, calibrations }: Pick<BatchPlaces, 'configuration' | 'calibrations'>,
  { metadata, endpoint, thresholds, before = {} }: RuledOrder,
): Manifest['cascades'] {
  const isShadow = runsShadow(metadata) === true;
  const deduplicated = wantsDeduplicated(metadata) === true ? endpoint : null;
  const configured = snapshotRules(configuration, calibrations.current(), isShadow, deduplicated);
  const decided = withSettings(configured, thresholds);
  if (decided.kind === 'problem') throw unfitThresholds(metadata, decided);
  return takenOver(decided.rules, before);
}

/** Somebody else made the batch of this id a moment ago. */
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
async function announce({ redis, log }: LoggedRedis, manifest: Manifest, work: HeldWork): Promise<void> {
  const { id, tenant, createdAtMs, expiresAtMs } = manifest;
  try {
    const answer = await within(MAX_ANNOUNCE_MS, admit(redis, id, { tenant, createdAtMs, expiresAtMs }));
    await within(MAX_ANNOUNCE_MS, work.keep());
    if (answer === 'RECOVERING') log.info({ batch: id }, 'a new batch waits for the recovery');
  } catch (error) {
    log[redis.outage.explains(error) ? 'info' : 'warn']({ err: error, batch: id }, 'a new batch waits for Redis');
  }
}
