import { z } from 'zod';
import { Sketch, sketchRecord } from './sketch.ts';
import type { DocumentTimes } from './times.ts';

/** What is measured of the documents of a batch, in milliseconds. */
export const MEASURES = [
  /** Of every drafted document. */
  'drafterQueue',
  'draft',
  /** From feeding to the answer, of accepted ones. */
  'acceptedTotal',
  /** Of escalated ones. */
  'escalatedDrafterQueue',
  'escalatedDraft',
  'handOver',
  'expertQueue',
  'expert',
  'sequential',
  'escalatedTotal',
] as const;

export type Measure = (typeof MEASURES)[number];

export const waitsRecord = z.partialRecord(z.enum(MEASURES), sketchRecord);
export type WaitsRecord = z.output<typeof waitsRecord>;

/** The account of waiting: a sketch for each measure, of any number of documents. */
export class Waits {
  readonly #sketches = new Map<Measure, Sketch>();

  static read(record: WaitsRecord): Waits {
    const waits = new Waits();
    for (const name of MEASURES) {
      const written = record[name];
      if (written !== undefined) waits.#sketches.set(name, Sketch.read(written));
    }
    return waits;
  }

  /** Takes in one settled document. */
  add(times: DocumentTimes): void {
    const { drafter, handOverMs, expert, sequentialMs, totalMs } = times;
    const put = (name: Measure, value: number | null | undefined): void => {
      if (value != null) this.of(name).add(value);
    };
    put('drafterQueue', drafter?.queueMs);
    put('draft', drafter?.callMs);
    if (handOverMs === null) return put('acceptedTotal', totalMs);
    put('escalatedDrafterQueue', drafter?.queueMs);
    put('escalatedDraft', drafter?.callMs);
    put('handOver', handOverMs);
    put('expertQueue', expert?.queueMs);
    put('expert', expert?.callMs);
    put('sequential', sequentialMs);
    put('escalatedTotal', totalMs);
  }

  merge(other: Waits): void {
    for (const [name, sketch] of other.#sketches) this.of(name).merge(sketch);
  }

  of(name: Measure): Sketch {
    let sketch = this.#sketches.get(name);
    if (sketch === undefined) {
      sketch = new Sketch();
      this.#sketches.set(name, sketch);
    }
    return sketch;
  }

  write(): WaitsRecord {
    const filled = [...this.#sketches].filter(([, sketch]) => sketch.count > 0);
    return Object.fromEntries(filled.map(([name, sketch]) => [name, sketch.write()]));
  }
}
