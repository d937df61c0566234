import { hash } from 'node:crypto';

/** 64 bits of an id's digest. */
type IdBits = { readonly id: string | null; readonly high: number; readonly low: number };

/**
 * Finds lines that may carry the same id: 64 bits of each id's digest in typed arrays, 16 bytes a line, whatever the
 * ids' length. Two lines with the same bits are candidates; whether their ids are equal is for the caller to read.
 */
export class DuplicateFinder {
  #bits = 10;
  #high = new Uint32Array(1024);
  #low = new Uint32Array(1024);
  /** Byte offset of the line plus one; 0 is an empty slot. Exact up to 2^53. */
  #offset = new Float64Array(1024);
  #size = 0;
  #last: IdBits = { id: null, high: 0, low: 0 };

  /**
   * The offsets of the added lines whose ids may be the same. A duplicate that is found is not to be added: a million of
   * one id would each be held against all before it.
   */
  candidates(id: string): number[] {
    const { high, low } = this.#bitsOf(id);
    const mask = this.#offset.length - 1;
    const found: number[] = [];
    for (let slot = low & mask; this.#offset[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#high[slot] === high && this.#low[slot] === low) found.push((this.#offset[slot] as number) - 1);
    }
    return found;
  }

  /** Adds an id whose line starts at `offset`. */
  add(id: string, offset: number): void {
    if (this.#size * 2 > this.#offset.length) this.#grow();
    const { high, low } = this.#bitsOf(id);
    this.#insert(high, low, offset);
  }

  #insert(high: number, low: number, offset: number): void {
    const mask = this.#offset.length - 1;
    let slot = low & mask;
    while (this.#offset[slot] !== 0) slot = (slot + 1) & mask;
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#offset[slot] = offset + 1;
    this.#size += 1;
  }

  #grow(): void {
    const [high, low, offset] = [this.#high, this.#low, this.#offset];
    this.#bits += 1;
    this.#high = new Uint32Array(2 ** this.#bits);
    this.#low = new Uint32Array(2 ** this.#bits);
    this.#offset = new Float64Array(2 ** this.#bits);
    this.#size = 0;
    for (const [slot, at] of offset.entries()) {
      if (at !== 0) this.#insert(high[slot] as number, low[slot] as number, at - 1);
    }
  }

  /** An id that is looked for is the next one that is added, nearly always. */
  #bitsOf(id: string): IdBits {
    if (this.#last.id !== id) {
      const digest = hash('md5', id, 'buffer');
      this.#last = { id, high: digest.readUInt32LE(0), low: digest.readUInt32LE(4) };
    }
    return this.#last;
  }
}
