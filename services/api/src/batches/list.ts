import { KEYS, type BatchObject } from '@spillway/core';
import { walkKeys, type Records, type Storage } from '@spillway/storage';
import { z } from 'zod';
import { ownBatch } from '../ownership.ts';
import { collectPage, idOfKey, type ListPage } from '../paging.ts';
import { after, limit } from '../schemas/parts.ts';
import { describeBatch, type BatchSources } from './show.ts';
import { Obstacles } from './obstacles.ts';

export const batchesQuery = z.object({ limit: limit({ least: 0, most: 100, fallback: 20 }), after });

/** A tenant's batches, newest first. */
export async function listBatches(
  { storage, ...sources }: BatchSources & { readonly storage: Storage },
  tenant: string,
  query: z.output<typeof batchesQuery>,
): Promise<ListPage<BatchObject>> {
  const { records } = sources;
  const place = await placeOf(records, tenant, query.after);
  const keys = walkKeys(storage, KEYS.tenantBatches(tenant), place);
  const page = await collectPage(keys, query.limit, async (key) => {
    const manifest = await records.manifest(idOfKey(key));
    // A key without a manifest is of a batch that was never made; one of another time, of a create that came second.
    const leadsThere = manifest !== null && key === KEYS.tenantBatch(tenant, manifest.createdAtMs, manifest.id);
    return leadsThere ? manifest : null;
  });
  const obstacles = new Obstacles(sources);
  return { ...page, data: await Promise.all(page.data.map((manifest) => describeBatch(sources, manifest, obstacles))) };
}

/** The index key of the batch that a page ended with. */
async function placeOf(records: Records, tenant: string, id: string | undefined): Promise<string | null> {
  if (id === undefined) return null;
  const { createdAtMs } = await ownBatch(records, tenant, id);
  return KEYS.tenantBatch(tenant, createdAtMs, id);
}
