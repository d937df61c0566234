import { hash } from 'node:crypto';

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

  /** The offsets of the lines whose ids may be this one. */
  find(id: string): number[] {
    const { high, low } = bitsOf(id);
    const mask = this.#offset.length - 1;
    const candidates: number[] = [];
    for (let slot = low & mask; this.#offset[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#high[slot] === high && this.#low[slot] === low) candidates.push((this.#offset[slot] as number) - 1);
    }
    return candidates;
  }

  /** Adds an id, whose line starts at `offset`. One that is there need not be added: a million equal ones would be a million candidates. */
  add(id: string, offset: number): void {
    if (this.#size * 2 > this.#offset.length) this.#grow();
    const { high, low } = bitsOf(id);
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
}

function bitsOf(id: string): { readonly high: number; readonly low: number } {
  const digest = hash('md5', id, 'buffer');
  return { high: digest.readUInt32LE(0), low: digest.readUInt32LE(4) };
}
