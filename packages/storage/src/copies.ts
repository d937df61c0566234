import {
  copiesOfPage,
  copiesRange,
  KEYS,
  readCopies,
  writingCopies,
  type Copies,
  type DocumentRows,
  type PagePlan,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { BatchPlan } from './plan.ts';
import type { Storage } from './storage.ts';

/**
 * Writes which documents of a batch are copies of which; null: none is. As with the index the name is made of the bytes,
 * so that whoever comes second adopts the same ones.
 */
export async function storeCopies(
  storage: Storage,
  batch: string,
  { rows, pages }: { readonly rows: DocumentRows; readonly pages: readonly PagePlan[] },
): Promise<Copies | null> {
  const written = await runSliced(writingCopies(rows, pages));
  if (written === null) return null;
  await storage.create(KEYS.copies(batch, written.copies.digest), written.bytes);
  return written.copies;
}

/** Of each copy in a page, by its place, which document it is a copy of; `damaged` names the object that does not say it. */
export type PageCopies =
  | { readonly kind: 'read'; readonly firsts: ReadonlyMap<number, number> }
  | { readonly kind: 'damaged'; readonly key: string };

const NONE: PageCopies = { kind: 'read', firsts: new Map() };

/** The copies in a page of a batch: one read, and none where there are none. */
export async function readPageCopies(storage: Storage, plan: BatchPlan, page: number): Promise<PageCopies> {
  const { copies, manifest, pages } = plan;
  const at = pages[page];
  if (copies === null || at === undefined || copiesOfPage(copies, page) === 0) return NONE;
  const key = KEYS.copies(manifest.id, copies.digest);
  // One that is gone reads like one that was cut.
  const bytes = (await storage.read(key, copiesRange(copies, page))) ?? new Uint8Array();
  const firsts = readCopies(bytes, copiesOfPage(copies, page), at);
  return firsts === null ? { kind: 'damaged', key } : { kind: 'read', firsts };
}
