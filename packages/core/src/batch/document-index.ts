import { createHash, hash } from 'node:crypto';
import { z } from 'zod';
import type { Bits } from '../text/digest.ts';
import type { Sliced } from '../text/slices.ts';
import type { DocumentRows } from './document-rows.ts';

/**
 * The index of a batch, by which a document is found by its `custom_id`: an object of blocks, each with a checksum, so
 * that a few of them are read and proved without the others.
 *
 * - a row, 20 bytes: 64 bits of the digest of the `custom_id`; 64 of that of the canonical body, 0 where it was not made;
 *   the document's index in the batch. Numbers are little-endian, of 32 bits. Rows are sorted by the first two numbers as
 *   high and low, then by the last
 * - a block, 4,096 bytes: 204 rows, in the last block as many as are left, then the tail
 * - a tail, 16 bytes: a mark, the block's number, and 64 bits of the MD5 of all of the block before
 */
const ROW_BYTES = 20;
const BLOCK_ROWS = 204;
const MARK = 0x31697073;
const SUM_BYTES = 8;
const TAIL_BYTES = 4 + 4 + SUM_BYTES;
const BLOCK_BYTES = BLOCK_ROWS * ROW_BYTES + TAIL_BYTES;

/** Blocks that are written in one slice: at 10 µs each that is a millisecond. */
const SLICE_BLOCKS = 100;

/** What the `validated` record says of the index: its name, which is made of its bytes, and how long it is. */
export const documentIndexRecord = z.object({ digest: z.string(), rows: z.int() });
export type DocumentIndex = Readonly<z.output<typeof documentIndexRecord>>;

/** Bytes of an object. */
export type IndexRange = { readonly start: number; readonly end: number };

export const blocksOf = (rows: number): number => Math.ceil(rows / BLOCK_ROWS);

/** The block that a row lies in. */
const blockOfRow = (row: number): number => Math.floor(row / BLOCK_ROWS);

/** The index of rows, in which those of one id stand in the order of their documents. */
export function* writingIndex(rows: DocumentRows): Sliced<{ readonly bytes: Buffer; readonly index: DocumentIndex }> {
  const order = yield* rows.sorting();
  const bytes = Buffer.allocUnsafe(rangeOf(0, blocksOf(rows.size), rows.size).end);
  const sum = createHash('sha256');
  for (let block = 0; block < blocksOf(rows.size); block += 1) {
    const { start, end } = rangeOf(block, block + 1, rows.size);
    const written = bytes.subarray(start, end);
    writeBlock(written, block, rows, order);
    sum.update(written);
    if (block % SLICE_BLOCKS === SLICE_BLOCKS - 1) yield;
  }
  return { bytes, index: { digest: sum.digest('hex').slice(0, 32), rows: rows.size } };
}

function writeBlock(bytes: Buffer, block: number, rows: DocumentRows, order: Uint32Array): void {
  let at = 0;
  for (const row of order.subarray(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)) {
    const [bodyHigh, bodyLow] = rows.bodies ?? [];
    for (const numbers of [rows.idHigh, rows.idLow, bodyHigh, bodyLow, rows.documents]) {
      at = bytes.writeUInt32LE(numbers?.[row] ?? 0, at);
    }
  }
  at = bytes.writeUInt32LE(MARK, at);
  at = bytes.writeUInt32LE(block, at);
  sumOf(bytes).copy(bytes, at);
}

const sumOf = (block: Buffer): Buffer =>
  hash('md5', block.subarray(0, block.length - SUM_BYTES), 'buffer').subarray(0, SUM_BYTES);

/** Where the blocks from one up to, not including, another lie. */
function rangeOf(first: number, end: number, rows: number): IndexRange {
  const lengthTo = (block: number): number => Math.min(block * BLOCK_ROWS, rows) * ROW_BYTES + block * TAIL_BYTES;
  return { start: lengthTo(first), end: lengthTo(end) };
}

/** Some blocks of an index, proved. */
export class IndexWindow {
  readonly first: number;
  /** Behind the last one. */
  readonly end: number;
  readonly #bytes: Buffer;
  readonly #rows: number;

  private constructor(first: number, end: number, rows: number, bytes: Buffer) {
    this.first = first;
    this.end = end;
    this.#rows = Math.min(end * BLOCK_ROWS, rows) - first * BLOCK_ROWS;
    this.#bytes = bytes;
  }

  /** Reads blocks: yields where they lie, and is given their bytes. Null: one of them is not what was written. */
  static *reading(first: number, end: number, rows: number): Generator<IndexRange, IndexWindow | null, Uint8Array> {
    const { start, end: endByte } = rangeOf(first, end, rows);
    const read = yield { start, end: endByte };
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    if (bytes.length !== endByte - start) return null;
    for (let block = first; block < end; block += 1) {
      const place = rangeOf(block, block + 1, rows);
      if (!isWhole(bytes.subarray(place.start - start, place.end - start), block)) return null;
    }
    return new IndexWindow(first, end, rows, bytes);
  }

  get rows(): number {
    return this.#rows;
  }

  /** 64 bits of the digest of a row's `custom_id`; rows count from the window's first one. */
  id(row: number): Bits {
    const at = this.#place(row);
    return { high: this.#bytes.readUInt32LE(at), low: this.#bytes.readUInt32LE(at + 4) };
  }

  /** The same of its canonical body; null: it was not made. */
  body(row: number): Bits | null {
    const at = this.#place(row) + 8;
    const bits = { high: this.#bytes.readUInt32LE(at), low: this.#bytes.readUInt32LE(at + 4) };
    return bits.high === 0 && bits.low === 0 ? null : bits;
  }

  /** Its document's index in the batch. */
  document(row: number): number {
    return this.#bytes.readUInt32LE(this.#place(row) + 16);
  }

  #place(row: number): number {
    return blockOfRow(row) * BLOCK_BYTES + (row % BLOCK_ROWS) * ROW_BYTES;
  }
}

function isWhole(block: Buffer, number: number): boolean {
  const tail = block.length - TAIL_BYTES;
  const isOwn = block.readUInt32LE(tail) === MARK && block.readUInt32LE(tail + 4) === number;
  return isOwn && block.subarray(-SUM_BYTES).equals(sumOf(block));
}
