import { DDSketch } from '@datadog/sketches-js';
import { z } from 'zod';

/** Quantiles are right to this share of their value. */
const RELATIVE_ACCURACY = 0.01;

/** A sketch as it is written down: zeros, sum, least, greatest, then bin and count in turn. */
export const sketchRecord = z.object({
  zeros: z.int().min(0),
  sum: z.number(),
  min: z.number(),
  max: z.number(),
  bins: z.array(z.number()),
});
export type SketchRecord = z.output<typeof sketchRecord>;

/**
 * Quantiles of many numbers in little memory: DDSketch (Masson, Rim, Lee: "DDSketch: A fast and fully-mergeable
 * quantile sketch with relative-error guarantees", VLDB 2019). Merged in any order it is the same.
 */
export class Sketch {
  readonly #sketch = new DDSketch({ relativeAccuracy: RELATIVE_ACCURACY });

  static read(record: SketchRecord): Sketch {
    const sketch = new Sketch();
    const own = sketch.#sketch;
    own.zeroCount = record.zeros;
    own.count = record.zeros;
    for (let at = 0; at + 1 < record.bins.length; at += 2) {
      const [bin = 0, count = 0] = [record.bins[at], record.bins[at + 1]];
      own.store.add(bin, count);
      own.count += count;
    }
    if (own.count > 0) [own.sum, own.min, own.max] = [record.sum, record.min, record.max];
    return sketch;
  }

  get count(): number {
    return this.#sketch.count;
  }

  get sum(): number {
    return this.#sketch.sum;
  }

  /** Null when there is nothing. */
  get mean(): number | null {
    return this.count === 0 ? null : this.sum / this.count;
  }

  /** Takes a number of at least 0. */
  add(value: number): void {
    this.#sketch.accept(value);
  }

  merge(other: Sketch): void {
    if (other.count > 0) this.#sketch.merge(other.#sketch);
  }

  /** The number below which a share of all lies, within one percent; null when there is nothing. */
  quantile(share: number): number | null {
    return this.count === 0 ? null : this.#sketch.getValueAtQuantile(share);
  }

  write(): SketchRecord {
    const { zeroCount, sum, min, max, store, count } = this.#sketch;
    const bins = store.bins.flatMap((inBin, index) => (inBin === 0 ? [] : [index + store.offset, inBin]));
    return { zeros: zeroCount, sum, bins, ...(count === 0 ? { min: 0, max: 0 } : { min, max }) };
  }
}
