import type { Bits, LongBits } from '../text/digest.ts';
import type { Sliced } from '../text/slices.ts';

/** What is kept of a document. */
export type DocumentRow = {
  /** Of its `custom_id`. */
  readonly id: Bits;
  /** Of its canonical body; null: it has none, or none was made. */
  readonly body: LongBits | null;
  /** Its index in the batch. */
  readonly document: number;
  /** Byte offset of its line in the input file. */
  readonly offset: number;
};

/** No digest of a body: where one begins like this by chance, its document only counts as not digested. */
const NO_BITS: LongBits = [0, 0, 0, 0];

/** A digit of the sort, and how many rows are sorted by one in a slice: at 20 ns each that is a millisecond. */
const DIGIT = 0x10000;
const SLICE_ROWS = 50_000;

/**
 * Rows of documents in typed arrays, 20 bytes each, 36 where bodies are digested, and as much again at most for those to
 * come.
 */
export class DocumentRows {
  idHigh = new Uint32Array(1024);
  idLow = new Uint32Array(1024);
  /** The four numbers of each body's digest; null as long as none was made. */
  bodies: readonly Uint32Array[] | null = null;
  documents = new Uint32Array(1024);
  /** Exact up to 2^53. */
  offsets = new Float64Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a row; its number. Documents come in order. */
  add({ id, body, document, offset }: DocumentRow): number {
    if (this.#size === this.documents.length) this.#grow();
    const row = this.#size;
    this.idHigh[row] = id.high;
    this.idLow[row] = id.low;
    if (body !== null) this.bodies ??= NO_BITS.map(() => new Uint32Array(this.documents.length));
    if (this.bodies !== null) {
      for (const [at, bits] of (body ?? NO_BITS).entries()) (this.bodies[at] as Uint32Array)[row] = bits;
    }
    this.documents[row] = document;
    this.offsets[row] = offset;
    this.#size += 1;
    return row;
  }

  /** The numbers of the rows, by their ids' bits and then as they came. However they are chosen, it takes the same time. */
  sorting(): Sliced<Uint32Array> {
    return this.#sortBy(this.idHigh, this.idLow);
  }

  /** The same by the first half of their bodies' digests; null: there are none. */
  *sortingByBody(): Sliced<Uint32Array | null> {
    const [high, low] = this.bodies ?? [];
    return high === undefined || low === undefined ? null : yield* this.#sortBy(high, low);
  }

  *#sortBy(high: Uint32Array, low: Uint32Array): Sliced<Uint32Array> {
    let order = new Uint32Array(this.#size);
    for (let row = 0; row < this.#size; row += 1) order[row] = row;
    let next = new Uint32Array(this.#size);
    for (const [bits, shift] of [
      [low, 0],
      [low, 16],
      [high, 0],
      [high, 16],
    ] as const) {
      yield* this.#sortByDigit(bits, shift, order, next);
      [order, next] = [next, order];
    }
    return order;
  }

  /** One round of a radix sort: rows with the same digit stay in their order. */
  *#sortByDigit(bits: Uint32Array, shift: number, from: Uint32Array, to: Uint32Array): Sliced<void> {
    const places = new Uint32Array(DIGIT);
    for (let row = 0; row < this.#size; row += 1) {
      const digit = ((bits[row] as number) >>> shift) % DIGIT;
      places[digit] = (places[digit] as number) + 1;
      if (row % SLICE_ROWS === SLICE_ROWS - 1) yield;
    }
    let before = 0;
    for (const [digit, count] of places.entries()) {
      places[digit] = before;
      before += count;
    }
    for (let at = 0; at < this.#size; at += 1) {
      const row = from[at] as number;
      const digit = ((bits[row] as number) >>> shift) % DIGIT;
      const place = places[digit] as number;
      to[place] = row;
      places[digit] = place + 1;
      if (at % SLICE_ROWS === SLICE_ROWS - 1) yield;
    }
  }

  #grow(): void {
    const capacity = 2 * this.documents.length;
    this.idHigh = larger(this.idHigh, capacity);
    this.idLow = larger(this.idLow, capacity);
    this.bodies = this.bodies?.map((bits) => larger(bits, capacity)) ?? null;
    this.documents = larger(this.documents, capacity);
    const offsets = new Float64Array(capacity);
    offsets.set(this.offsets);
    this.offsets = offsets;
  }
}

function larger(numbers: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const copy = new Uint32Array(capacity);
  copy.set(numbers);
  return copy;
}
