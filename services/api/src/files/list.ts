import { fileObject, isFileId, KEYS, type FileObject } from '@spillway/core';
import { z } from 'zod';
import type { Api } from '../api.ts';
import { noSuchFile } from '../errors.ts';
import { walkKeys } from '@spillway/storage';
import { collectPage, idOfKey, keysUp, type ListPage } from '../paging.ts';
import { after, limit, order, purpose } from '../schemas/parts.ts';

export const filesQuery = z.object({
  purpose,
  limit: limit({ least: 1, most: 10_000, fallback: 10_000 }),
  order,
  after,
});

/** A tenant's standing files, newest first unless told otherwise. */
export async function listFiles(
  api: Api,
  tenant: string,
  query: z.output<typeof filesQuery>,
): Promise<ListPage<FileObject>> {
  const folder = KEYS.tenantFiles(tenant);
  const place = await placeOf(api, tenant, query.after);
  const list = query.order === 'asc' ? keysUp : walkKeys;
  return collectPage(list(api.storage, folder, place), query.limit, async (key) => {
    const record = await api.records.standingFile(idOfKey(key));
    // A key of another time was left by a create that came second.
    if (record === null || key !== KEYS.tenantFile(tenant, record.createdAtMs, record.id)) return null;
    return query.purpose === undefined || record.purpose === query.purpose ? fileObject(record) : null;
  });
}

/** The index key of the file that a page ended with; one that was deleted meanwhile keeps its place. */
async function placeOf(api: Api, tenant: string, id: string | undefined): Promise<string | null> {
  if (id === undefined) return null;
  const record = isFileId(id) ? await api.records.file(id) : null;
  if (record === null || record.tenant !== tenant) throw noSuchFile(id);
  return KEYS.tenantFile(tenant, record.createdAtMs, id);
}
