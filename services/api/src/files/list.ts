import { fileObject, isFileId, KEYS, type FileObject } from '@spillway/core';
import { walkKeys, type Records, type Storage } from '@spillway/storage';
import { z } from 'zod';
import { noSuchFile } from '../errors.ts';
import { collectPage, idOfKey, keysUp, type ListPage } from '../paging.ts';
import { after, limit, order, purpose } from '../schemas/parts.ts';

export const filesQuery = z.object({
  purpose,
  limit: limit({ least: 1, most: 10_000, fallback: 10_000 }),
  order,
  after,
});

/** A tenant's standing files, newest first unless asked for otherwise. */
export async function listFiles(
  { storage, records }: { readonly storage: Storage; readonly records: Records },
  tenant: string,
  query: z.output<typeof filesQuery>,
): Promise<ListPage<FileObject>> {
  const folder = KEYS.tenantFiles(tenant);
  const place = await placeOf(records, tenant, query.after);
  const list = query.order === 'asc' ? keysUp : walkKeys;
  return collectPage(list(storage, folder, place), query.limit, async (key) => {
    const record = await records.standingFile(idOfKey(key), Date.now());
    // A key of another time was left by a create that came second.
    if (record === null || key !== KEYS.tenantFile(tenant, record.createdAtMs, record.id)) return null;
    return query.purpose === undefined || record.purpose === query.purpose ? fileObject(record) : null;
  });
}

/** The index key of the file that a page ended with; one that was deleted meanwhile keeps its place. */
async function placeOf(records: Records, tenant: string, id: string | undefined): Promise<string | null> {
  if (id === undefined) return null;
  const record = isFileId(id) ? await records.file(id) : null;
  if (record === null || record.tenant !== tenant) throw noSuchFile(id);
  return KEYS.tenantFile(tenant, record.createdAtMs, id);
}
