import { fileObject, isFileId, KEYS, type FileObject } from '@spillway/core';
import type { Api } from '../api.ts';
import { noSuchFile } from '../errors.ts';
import { collectPage, idOfKey, keysDown, keysUp, type ListPage } from '../paging.ts';
import { readLimit, readOrder, readText, type Query } from '../query.ts';

const LIMIT = { least: 1, most: 10_000, fallback: 10_000 };

export async function listFiles(api: Api, tenant: string, query: Query): Promise<ListPage<FileObject>> {
  const limit = readLimit(query, LIMIT);
  const purpose = readText(query, 'purpose');
  const folder = KEYS.tenantFiles(tenant);
  const after = await placeOf(api, tenant, readText(query, 'after'));
  const keys = readOrder(query) === 'desc' ? keysDown(api.storage, folder, after) : keysUp(api.storage, folder, after);
  return collectPage(keys, limit, async (key) => {
    const record = await api.records.standingFile(idOfKey(key));
    if (record === null || record.tenant !== tenant) return null;
    return purpose === null || record.purpose === purpose ? fileObject(record) : null;
  });
}

/** The index key of the file that a page ended with; one that was deleted meanwhile keeps its place. */
async function placeOf(api: Api, tenant: string, id: string | null): Promise<string | null> {
  if (id === null) return null;
  const record = isFileId(id) ? await api.records.file(id) : null;
  if (record === null || record.tenant !== tenant) throw noSuchFile(id);
  return KEYS.tenantFile(tenant, record.createdAtMs, id);
}
