import type { Bits } from '../text/digest.ts';
import type { DocumentRows } from './document-rows.ts';

/**
 * Finds rows that may be of the same id, in a table of 8 to 16 bytes a row, whatever the ids' length. Two with the same
 * bits are candidates; whether their ids are equal is for the caller to read.
 */
export class DuplicateFinder {
  readonly #rows: DocumentRows;
  /** Numbers of rows plus one; 0 is an empty slot. */
  #slots = new Uint32Array(1024);
  #size = 0;

  constructor(rows: DocumentRows) {
    this.#rows = rows;
  }

  /**
   * The offsets of the added rows whose ids may be the same. A duplicate that is found is not to be added: a million of
   * one id would each be held against all before it.
   */
  candidates({ high, low }: Bits): number[] {
    const { idHigh, idLow, offsets } = this.#rows;
    const mask = this.#slots.length - 1;
    const found: number[] = [];
    for (let slot = low & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const row = (this.#slots[slot] as number) - 1;
      if (idHigh[row] === high && idLow[row] === low) found.push(offsets[row] as number);
    }
    return found;
  }

  /** Adds one of the rows. */
  add(row: number): void {
    if (this.#size * 2 > this.#slots.length) this.#grow();
    this.#insert(row);
    this.#size += 1;
  }

  #insert(row: number): void {
    const mask = this.#slots.length - 1;
    let slot = (this.#rows.idLow[row] as number) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = row + 1;
  }

  #grow(): void {
    const slots = this.#slots;
    this.#slots = new Uint32Array(2 * slots.length);
    for (const number of slots) if (number !== 0) this.#insert(number - 1);
  }
}
