import type { DecoderOutput, DecoderShape } from './decoder.ts';
import { planesOf } from './decoder.ts';

/** Columns are added in steps, so that a batch that grows by a token is not laid out anew each time. */
const COLUMN_STEP = 32;

/**
 * Keys and values of the rows of a running batch, as [row, plane, column, headWidth]. Rows in use are always the first
 * ones, so that the decoder can be handed a view and nothing is gathered per step: taking a row out moves the last one
 * into its place.
 */
export class KeyValueCache {
  readonly #planes: number;
  readonly #headWidth: number;
  readonly #maxRows: number;
  #columns = COLUMN_STEP;
  #values: Float32Array;
  #rows = 0;

  constructor(shape: DecoderShape, maxRows: number) {
    this.#planes = planesOf(shape);
    this.#headWidth = shape.headWidth;
    this.#maxRows = maxRows;
    this.#values = new Float32Array(this.#rowSize() * maxRows);
  }

  get rows(): number {
    return this.#rows;
  }

  get columns(): number {
    return this.#columns;
  }

  /** The rows in use, to be read at once: the next change may overwrite or replace it. */
  view(): Float32Array {
    return this.#values.subarray(0, this.#rows * this.#rowSize());
  }

  addRow(): number {
    if (this.#rows === this.#maxRows) throw new Error('the cache has no row left');
    return this.#rows++;
  }

  /** Frees a row; the last row takes its place, and the caller must follow. */
  removeRow(row: number): void {
    const last = --this.#rows;
    const size = this.#rowSize();
    if (row !== last) this.#values.copyWithin(row * size, last * size, (last + 1) * size);
    if (this.#rows === 0) this.#layOut(COLUMN_STEP);
  }

  /** Makes space for rows of up to `columns` tokens. */
  reserve(columns: number): void {
    if (columns > this.#columns) this.#layOut(Math.ceil(columns / COLUMN_STEP) * COLUMN_STEP);
  }

  /** Takes the first `count` new keys and values of row `from` of an output and puts them at `column` of a row. */
  append(row: number, column: number, output: DecoderOutput, from: number, count: number): void {
    const width = this.#headWidth;
    for (let plane = 0; plane < this.#planes; plane++) {
      const source = (from * this.#planes + plane) * output.newTokens * width;
      const target = row * this.#rowSize() + (plane * this.#columns + column) * width;
      this.#values.set(output.fresh.subarray(source, source + count * width), target);
    }
  }

  #rowSize(): number {
    return this.#planes * this.#columns * this.#headWidth;
  }

  #layOut(columns: number): void {
    const { values: old, columns: oldColumns } = { values: this.#values, columns: this.#columns };
    this.#columns = columns;
    this.#values = new Float32Array(this.#rowSize() * this.#maxRows);
    const kept = Math.min(oldColumns, columns) * this.#headWidth;
    for (let plane = 0; plane < this.#rows * this.#planes; plane++) {
      const source = plane * oldColumns * this.#headWidth;
      this.#values.set(old.subarray(source, source + kept), plane * columns * this.#headWidth);
    }
  }
}
