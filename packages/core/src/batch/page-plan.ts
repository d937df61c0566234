import { z } from 'zod';
import { LIMITS } from '../limits.ts';

const plan = z.object({
  /** Index of its first document in the batch, from 0. */
  first: z.int(),
  documents: z.int(),
  /** Byte offset of its first line in the input file. */
  offset: z.int(),
  /** Bytes from there to the end of its last line. */
  bytes: z.int(),
  /** Physical number of the line before its first, for error messages. */
  lineBefore: z.int(),
});

/** A run of consecutive documents of a batch: where its input lies. */
export type PagePlan = Readonly<z.output<typeof plan>>;

/** A page's plan as it is written down: its numbers, in the order above. */
export const pagePlanCodec = z.codec(z.tuple([z.int(), z.int(), z.int(), z.int(), z.int()]), plan, {
  decode: ([first, documents, offset, bytes, lineBefore]) => ({ first, documents, offset, bytes, lineBefore }),
  encode: ({ first, documents, offset, bytes, lineBefore }): [number, number, number, number, number] => [
    first,
    documents,
    offset,
    bytes,
    lineBefore,
  ],
});

/** Cuts the documents of a batch into pages, as they are read. */
export class PageCutter {
  readonly pages: PagePlan[] = [];
  #open: { first: number; documents: number; offset: number; end: number; lineBefore: number } | null = null;

  /** Adds the next document: its line's offset, length and number. */
  add(line: { offset: number; length: number; number: number }): void {
    const end = line.offset + line.length;
    if (this.#open !== null) {
      const full = this.#open.documents >= LIMITS.pageDocuments || end - this.#open.offset > LIMITS.pageInputBytes;
      if (full) this.#close();
    }
    const last = this.pages.at(-1);
    const first = last === undefined ? 0 : last.first + last.documents;
    this.#open ??= { first, documents: 0, offset: line.offset, end, lineBefore: line.number - 1 };
    this.#open.documents += 1;
    this.#open.end = end;
  }

  /** The whole plan, once every line was added. */
  finish(): readonly PagePlan[] {
    if (this.#open !== null) this.#close();
    return this.pages;
  }

  #close(): void {
    if (this.#open === null) return;
    const { first, documents, offset, end, lineBefore } = this.#open;
    this.pages.push({ first, documents, offset, bytes: end - offset, lineBefore });
    this.#open = null;
  }
}

/** The page that holds this document, by its index; null beyond the end. Pages are in order, so a bisection finds it. */
export function pageOfDocument(pages: readonly PagePlan[], document: number): number | null {
  let [low, high] = [0, pages.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const { first = 0, documents = 0 } = pages[middle] ?? {};
    if (document < first) high = middle - 1;
    else if (document >= first + documents) low = middle + 1;
    else return middle;
  }
  return null;
}

/** Bytes of Redis that a page takes from its enqueueing to its sealing, results not counted. */
export const pageCost = (page: Pick<PagePlan, 'bytes' | 'documents'>): number =>
  page.bytes + page.documents * LIMITS.documentOverheadBytes;
