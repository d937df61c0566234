import { KEYS } from '@spillway/core';
import { liveBatches, readBatch } from '@spillway/redis';
import { walkKeys, type Records, type Storage } from '@spillway/storage';
import type { Caller } from './auth.ts';
import { askRedis, type LoggedRedis } from './batches/live.ts';
import { shown, tooMany } from './errors.ts';
import { collectPage, idOfKey } from './paging.ts';

/** Batches end and files go in minutes rather than in seconds. */
const RETRY_SECONDS = 60;

/** Refuses one more batch to a tenant that has as much in work as its key allows. */
export async function refuseOverWork(logged: LoggedRedis, { tenant, limits }: Caller): Promise<void> {
  const { open_batches: batches = Infinity, queued_documents: documents = Infinity } = limits;
  if (batches === Infinity && documents === Infinity) return;
  const own = await askRedis(logged, async (redis) => {
    const states = await Promise.all((await liveBatches(redis)).map((id) => readBatch(redis, id)));
    return states.filter((state) => state?.tenant === tenant && state.phase !== 'closed');
  });
  if (own.length >= batches) throw overLimit(`${own.length} batches are in work, ${batches} are allowed at a time`);
  const queued = own.reduce((sum, state) => {
    const { total = 0, counts } = state ?? {};
    return sum + total - (counts?.completed ?? 0) - (counts?.failed ?? 0);
  }, 0);
  if (queued >= documents) throw overLimit(`${queued} documents are queued, ${documents} are allowed at a time`);
}

/** How many bytes of input a tenant may still store; null without a limit. */
export async function freeBytes(
  { storage, records }: { readonly storage: Storage; readonly records: Records },
  { tenant, limits }: Caller,
): Promise<number | null> {
  const { stored_bytes: most } = limits;
  if (most === undefined) return null;
  const keys = walkKeys(storage, KEYS.tenantFiles(tenant), null);
  const files = await collectPage(keys, Number.MAX_SAFE_INTEGER - 1, async (key) => {
    const record = await records.standingFile(idOfKey(key), Date.now());
    return record?.tenant === tenant && record.source.kind === 'upload' ? record : null;
  });
  return Math.max(0, most - files.data.reduce((sum, { bytes }) => sum + bytes, 0));
}

/** The refusal of a file that would make a tenant store more than its key allows. */
export const overBytes = (name: string): Error =>
  overLimit(`its files take as many bytes as are allowed, and '${shown(name)}' does not fit beside them`);

const overLimit = (what: string): Error =>
  tooMany(`A limit of this tenant is reached: ${what}.`, RETRY_SECONDS, 'tenant_limit_reached');
