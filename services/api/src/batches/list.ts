import { KEYS, type BatchObject } from '@spillway/core';
import { z } from 'zod';
import type { Api } from '../api.ts';
import { walkKeys } from '@spillway/storage';
import { collectPage, idOfKey, type ListPage } from '../paging.ts';
import { after, limit } from '../schemas/parts.ts';
import { describeBatch } from './show.ts';

export const batchesQuery = z.object({ limit: limit({ least: 0, most: 100, fallback: 20 }), after });

/** A tenant's batches, newest first. */
export async function listBatches(
  api: Api,
  tenant: string,
  query: z.output<typeof batchesQuery>,
): Promise<ListPage<BatchObject>> {
  const place = await placeOf(api, tenant, query.after);
  const keys = walkKeys(api.storage, KEYS.tenantBatches(tenant), place);
  const page = await collectPage(keys, query.limit, async (key) => {
    const manifest = await api.records.manifest(idOfKey(key));
    // A key without a manifest is of a batch that was never made; one of another time, of a create that came second.
    const leadsThere = manifest !== null && key === KEYS.tenantBatch(tenant, manifest.createdAtMs, manifest.id);
    return leadsThere ? manifest : null;
  });
  return { ...page, data: await Promise.all(page.data.map((manifest) => describeBatch(api, manifest))) };
}

/** The index key of the batch that a page ended with. */
async function placeOf(api: Api, tenant: string, id: string | undefined): Promise<string | null> {
  if (id === undefined) return null;
  const { createdAtMs } = await api.records.ownBatch(tenant, id);
  return KEYS.tenantBatch(tenant, createdAtMs, id);
}
