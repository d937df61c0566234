import { draftsPlace, footerLength, KEYS, LIMITS, readFooter, type PageFooter } from '@spillway/core';
import { mapConcurrent } from '@spillway/runtime';
import type { Storage } from './storage.ts';

/** Footers are read by this many at a time. */
const MAX_READS = 16;

/**
 * The footer of a page: it is at the object's end, and the last 64 KiB nearly always hold it. Null: the page does not
 * stand in storage. A page whose end is not that of a whole page of this number is an error.
 */
export async function readFooterOf(storage: Storage, batch: string, page: number): Promise<PageFooter | null> {
  const key = KEYS.page(batch, page);
  const size = await storage.size(key);
  if (size === null) return null;
  let end = await readEnd(storage, key, size, LIMITS.footerBytes);
  const length = footerLength(end);
  if (length !== null && length > end.byteLength && length <= size) end = await readEnd(storage, key, size, length);
  const footer = readFooter(end);
  if (footer === null || length === null) throw new Error(`The page ${key} in storage has no footer`);
  const linesEnd = footer.outputBytes + footer.errorBytes;
  const draftsEnd = draftsPlace(footer)?.end ?? linesEnd;
  if (footer.page !== page || draftsEnd + length !== size) {
    throw new Error(`The page ${key} in storage is damaged: it is not what its footer says`);
  }
  return footer;
}

/** The footers of some pages of a batch, in the order of `pages`; null where a page does not stand in storage. */
export function readFooters(storage: Storage, batch: string, pages: Iterable<number>): Promise<(PageFooter | null)[]> {
  return mapConcurrent(pages, MAX_READS, (page) => readFooterOf(storage, batch, page));
}

/** The last bytes of a page that stood a moment ago. */
async function readEnd(storage: Storage, key: string, size: number, bytes: number): Promise<Uint8Array> {
  const end = await storage.read(key, { start: Math.max(0, size - bytes), end: size });
  if (end === null) throw new Error(`The page ${key} went from storage while it was read`);
  return end;
}
