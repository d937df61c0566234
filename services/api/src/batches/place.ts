import { randomBytes } from 'node:crypto';
import {
  batchIdOf,
  batchIdOfKey,
  KEYS,
  LIMITS,
  liveBatch,
  RECORDS,
  runsBoth,
  snapshotRules,
  type BatchObject,
  type Manifest,
} from '@spillway/core';
import { admit, isRecovering, memoryShare } from '@spillway/redis';
import { within } from '@spillway/runtime';
import { createRecord } from '@spillway/storage';
import type { Api } from '../api.ts';
import type { Caller } from '../auth.ts';
import { badRequest, conflict, unavailable } from '../errors.ts';
import { refuseOverWork } from '../quota.ts';
import { askRedis, recovering } from './live.ts';
import type { BatchOrder } from './order.ts';
import { describeBatch } from './show.ts';

const EMPTY = Buffer.from('{}');

/** Memory comes free as documents are settled, not at once. */
const FULL_RETRY_SECONDS = 10;

/** The batch stands already; its client need not wait for Redis. */
const ANNOUNCE_LIMIT_MS = 2_000;

/** What a batch is made of. `input` is stored once it is known that there is room. */
export type BatchSeed = {
  readonly order: Omit<BatchOrder, 'input'>;
  readonly input: (id: string) => Promise<string>;
  readonly idempotencyKey: string | null;
  readonly requestDigest: string;
};

/** Makes a batch. The manifest is what makes it: once it stands the answer is 200, whatever Redis does. */
export async function placeBatch(api: Api, caller: Caller, seed: BatchSeed): Promise<BatchObject> {
  const { tenant } = caller;
  const { order, idempotencyKey, requestDigest } = seed;
  const id = idOf(tenant, idempotencyKey);
  if (idempotencyKey !== null) {
    const standing = await api.records.manifest(id);
    if (standing !== null) return sameBatch(api, standing, requestDigest);
  }
  await refuseWithoutRoom(api);
  await refuseOverWork(api, caller);

  const manifest = manifestOf(api, order, { id, tenant, requestDigest, inputFileId: await seed.input(id) });
  const indexKey = KEYS.tenantBatch(tenant, manifest.createdAtMs, id);
  await api.tenants.note(tenant);
  await Promise.all([api.storage.create(KEYS.openMark(id), EMPTY), api.storage.create(indexKey, EMPTY)]);
  const written = await createRecord(api.storage, KEYS.manifest(id), RECORDS.manifest, manifest);
  if (written.kind === 'exists') return adopt(api, written.record, { indexKey, requestDigest });
  // A mark that stood since an unfinished create of days ago may have been garbage until now.
  if (idempotencyKey !== null) await api.storage.create(KEYS.openMark(id), EMPTY);
  await announce(api, written.record);
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

async function refuseWithoutRoom(api: Api): Promise<void> {
  const [isLost, share] = await askRedis(api, (board) => Promise.all([isRecovering(board), memoryShare(board)]));
  if (isLost) throw recovering();
  if (share >= LIMITS.createMemoryShare) {
    throw unavailable('The service has as much work in hand as it can hold. Try again later.', FULL_RETRY_SECONDS);
  }
}

type Own = Pick<Manifest, 'id' | 'tenant' | 'requestDigest' | 'inputFileId'>;

function manifestOf(api: Api, order: BatchSeed['order'], own: Own): Manifest {
  const { windowMs, ...asked } = order;
  const createdAtMs = Date.now();
  const expiresAtMs = createdAtMs + windowMs;
  return {
    v: 1,
    ...own,
    ...asked,
    createdAtMs,
    expiresAtMs,
    cascades: snapshotRules(api.configuration, api.calibrations.current(), runsBoth(asked.metadata) === true),
  };
}

/** Somebody else made the batch of this Idempotency-Key a moment ago. */
async function adopt(
  api: Api,
  standing: Manifest,
  own: { indexKey: string; requestDigest: string },
): Promise<BatchObject> {
  // Lists pass over an index key whose time is not the manifest's; removing it only spares them the reading.
  if (own.indexKey !== KEYS.tenantBatch(standing.tenant, standing.createdAtMs, standing.id)) {
    await api.storage.remove(own.indexKey);
  }
  return sameBatch(api, standing, own.requestDigest);
}

function sameBatch(api: Api, standing: Manifest, requestDigest: string): Promise<BatchObject> {
  if (standing.requestDigest === requestDigest) return describeBatch(api, standing);
  throw conflict('This Idempotency-Key was used before, with another request.', 'idempotency_key_reused');
}

/** Tells Redis of the batch; when it cannot be told, the dispatcher finds the open mark. */
async function announce(api: Api, manifest: Manifest): Promise<void> {
  const { id, tenant, createdAtMs, expiresAtMs } = manifest;
  try {
    const answer = await within(ANNOUNCE_LIMIT_MS, admit(api.board, id, { tenant, createdAtMs, expiresAtMs }));
    if (answer === 'RECOVERING') api.log.info({ batch: id }, 'a new batch waits for the recovery');
  } catch (error) {
    api.log.warn({ err: error, batch: id }, 'a new batch waits for Redis');
  }
}
