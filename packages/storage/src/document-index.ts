import { digestBits, KEYS, searchingIndex, writingIndex, type DocumentIndex, type DocumentRows } from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Storage } from './storage.ts';

/**
 * Writes the index of a batch. Its name is made of its bytes, so that whoever comes second adopts the same ones, and one
 * who read the input by other limits gets in nobody's way.
 */
export async function storeIndex(storage: Storage, batch: string, rows: DocumentRows): Promise<DocumentIndex> {
  const { bytes, index } = await runSliced(writingIndex(rows));
  await storage.create(KEYS.index(batch, index.digest), bytes);
  return index;
}

/** What an index says; `damaged` names it. */
export type FoundDocuments =
  | { readonly kind: 'found'; readonly documents: readonly number[] }
  | { readonly kind: 'damaged'; readonly key: string };

/**
 * The documents from one on that may have this `custom_id`, at most so many, in order. Others may have the same bits: who
 * asks compares the ids of their lines. A few reads of 64 KiB, whatever the number of documents.
 */
export async function findDocuments(
  storage: Storage,
  { batch, index }: { readonly batch: string; readonly index: DocumentIndex },
  { customId, from, most }: { readonly customId: string; readonly from: number; readonly most: number },
): Promise<FoundDocuments> {
  const key = KEYS.index(batch, index.digest);
  const search = searchingIndex(index, { id: digestBits(customId), from }, most);
  for (let step = search.next(); ;) {
    if (step.done === true) {
      return step.value === null ? { kind: 'damaged', key } : { kind: 'found', documents: step.value };
    }
    // One that is gone reads like one that was cut.
    step = search.next((await storage.read(key, step.value)) ?? new Uint8Array());
  }
}
