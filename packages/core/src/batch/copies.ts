import { createHash, hash } from 'node:crypto';
import { z } from 'zod';
import type { Sliced } from '../text/slices.ts';
import type { DocumentRows } from './document-rows.ts';
import type { PagePlan } from './page-plan.ts';

/**
 * The copies of a batch: documents with the same body as an earlier one, each with the first one that has it. They are an
 * object of parts, a page's each, which is read and proved without the others:
 *
 * - of each copy of the page, in order, 8 bytes: its index in the batch and that of its first, little-endian
 * - 64 bits of the MD5 of that
 */
const ENTRY_BYTES = 8;
const SUM_BYTES = 8;

/** Rows that are looked at in one slice: at 20 ns each that is a millisecond. */
const SLICE_ROWS = 50_000;

/** What the `validated` record says of the copies: the object's name, which is made of its bytes, and where parts lie. */
export const copiesRecord = z.object({
  digest: z.string(),
  count: z.int(),
  /** Copies before each page. */
  before: z.array(z.int()),
});
export type Copies = Readonly<z.output<typeof copiesRecord>>;

/** Finds and writes the copies among documents that lie in these pages; null: there are none. */
export function* writingCopies(
  rows: DocumentRows,
  pages: readonly PagePlan[],
): Sliced<{ readonly bytes: Buffer; readonly copies: Copies } | null> {
  const { count, firsts } = yield* findingFirsts(rows);
  if (count === 0) return null;
  const bytes = Buffer.alloc(count * ENTRY_BYTES + pages.length * SUM_BYTES);
  const before: number[] = [];
  let [row, copies, at] = [0, 0, 0];
  for (const page of pages) {
    before.push(copies);
    const start = at;
    for (; row < rows.size && (rows.documents[row] as number) < page.first + page.documents; row += 1) {
      if (row % SLICE_ROWS === SLICE_ROWS - 1) yield;
      const first = firsts[row] as number;
      if (first === row) continue;
      at = bytes.writeUInt32LE(rows.documents[row] as number, at);
      at = bytes.writeUInt32LE(rows.documents[first] as number, at);
      copies += 1;
    }
    at += sumOf(bytes.subarray(start, at)).copy(bytes, at);
  }
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
  return { bytes, copies: { digest, count, before } };
}

/** Of each row the first one with the same body, which is itself where there is no other before it. */
function* findingFirsts(rows: DocumentRows): Sliced<{ readonly count: number; readonly firsts: Uint32Array }> {
  const order = yield* rows.sortingByBody();
  const [a, b, c, d] = rows.bodies ?? [];
  if (order === null || a === undefined || b === undefined || c === undefined || d === undefined) {
    return { count: 0, firsts: new Uint32Array() };
  }
  const firsts = new Uint32Array(rows.size);
  let count = 0;
  let first = order[0] ?? 0;
  for (const [at, row] of order.entries()) {
    if (at % SLICE_ROWS === SLICE_ROWS - 1) yield;
    const isSameHalf = a[row] === a[first] && b[row] === b[first];
    if (!isSameHalf) first = row;
    // Those with half of the first one's bits, which nobody but who looks for them has, are no copies of anything.
    const isDigested = a[row] !== 0 || b[row] !== 0;
    const isCopy = row !== first && isDigested && c[row] === c[first] && d[row] === d[first];
    firsts[row] = isCopy ? first : row;
    if (isCopy) count += 1;
  }
  return { count, firsts };
}

/** The copies among documents by their indexes in the batch, in order, where none is written down. */
export function* findingCopies(rows: DocumentRows): Sliced<Uint32Array> {
  const { count, firsts } = yield* findingFirsts(rows);
  const copies = new Uint32Array(count);
  let found = 0;
  for (let row = 0; row < firsts.length; row += 1) {
    if (row % SLICE_ROWS === SLICE_ROWS - 1) yield;
    if (firsts[row] === row) continue;
    copies[found] = rows.documents[row] as number;
    found += 1;
  }
  return copies;
}

const sumOf = (entries: Buffer): Buffer => hash('md5', entries, 'buffer').subarray(0, SUM_BYTES);

/** How many copies a page has. */
export const copiesOfPage = ({ before, count }: Copies, page: number): number =>
  (before[page + 1] ?? count) - (before[page] ?? count);

/** Where the part of a page lies. */
export function copiesRange(copies: Copies, page: number): { readonly start: number; readonly end: number } {
  const start = (copies.before[page] ?? copies.count) * ENTRY_BYTES + page * SUM_BYTES;
  return { start, end: start + copiesOfPage(copies, page) * ENTRY_BYTES + SUM_BYTES };
}

/**
 * The first of each copy of a page, by its place there. Null: the bytes are not what was written, or not of this page.
 * No first is a copy itself, and each is an earlier document.
 */
export function readCopies(
  read: Uint8Array,
  copies: number,
  { first, documents }: Pick<PagePlan, 'first' | 'documents'>,
): Map<number, number> | null {
  const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
  if (bytes.length !== copies * ENTRY_BYTES + SUM_BYTES) return null;
  if (!bytes.subarray(-SUM_BYTES).equals(sumOf(bytes.subarray(0, -SUM_BYTES)))) return null;
  const found = new Map<number, number>();
  for (let at = 0; at < copies * ENTRY_BYTES; at += ENTRY_BYTES) {
    const [place, of] = [bytes.readUInt32LE(at) - first, bytes.readUInt32LE(at + 4)];
    if (place < 0 || place >= documents || of >= first + place) return null;
    found.set(place, of);
  }
  return found;
}

/**
 * How far a batch is, in all documents; `copied` are those of the settled ones that are answered copies, `kept` those whose
 * answers are known from another batch.
 */
export type DoneWork = {
  readonly total: number;
  readonly enqueued: number;
  readonly settled: number;
  readonly copied: number;
  readonly kept: number;
};

/**
 * How far a batch is in those documents that are asked about. `pageOf` says which page one is in; null: it is beyond the
 * end. Copies whose first failed are asked, too: as far as they are settled they are seen here.
 */
export function askedWork(
  { total, enqueued, settled, copied, kept }: DoneWork,
  copies: Pick<Copies, 'count' | 'before'> | null,
  pageOf: (document: number) => number | null,
): Omit<DoneWork, 'copied' | 'kept'> {
  if (copies === null) return { total: total - kept, enqueued: Math.max(0, enqueued - kept), settled: settled - kept };
  const asked = settled - copied - kept;
  const page = pageOf(enqueued);
  const behind = page === null ? copies.count : (copies.before[page] ?? copies.count);
  const reached = Math.max(asked, enqueued - behind - kept);
  return { total: Math.max(reached, total - copies.count - kept), enqueued: reached, settled: asked };
}
