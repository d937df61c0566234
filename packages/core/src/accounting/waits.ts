import { z } from 'zod';
import type { CascadeTimes } from '../document/times.ts';
import { Sketch, sketchRecord } from './sketch.ts';

/** What is measured of the documents of a batch as a whole, in milliseconds. */
const MEASURES = [
  /** From enqueueing to the answer: of those whose first draft was final, and of the others. */
  'acceptedTotal',
  'escalatedTotal',
  /** Of escalated ones: from enqueueing until the first call of the stage that delivered. */
  'sequential',
] as const;

/** What is measured of a stage of a cascade. */
const STAGE_MEASURES = [
  /** Of every document that it was asked about. */
  'queue',
  'call',
  /** Of those among them that did not end with it. */
  'escalatedQueue',
  'escalatedCall',
  'handOff',
] as const;

export type Measure = (typeof MEASURES)[number];
export type StageMeasure = (typeof STAGE_MEASURES)[number];

const NAME = new RegExp(`^(${MEASURES.join('|')}|[^/]+/\\d+/(${STAGE_MEASURES.join('|')}))$`);

export const waitsRecord = z.record(z.string().regex(NAME, 'expected the name of a measure'), sketchRecord);
export type WaitsRecord = z.output<typeof waitsRecord>;

/** The account of waiting: a sketch for each measure, of any number of documents. */
export class Waits {
  readonly #sketches = new Map<string, Sketch>();

  static read(record: WaitsRecord): Waits {
    const waits = new Waits();
    for (const [name, written] of Object.entries(record)) waits.#sketches.set(name, Sketch.read(written));
    return waits;
  }

  /** Takes in one settled document. */
  add({ cascade, times }: CascadeTimes): void {
    const { stages, sequentialMs, totalMs } = times;
    const last = stages.length - 1;
    for (const [stage, own] of stages.entries()) {
      if (own === null) continue;
      this.ofStage(cascade, stage, 'queue').add(own.queueMs);
      this.ofStage(cascade, stage, 'call').add(own.callMs);
      if (stage === last) continue;
      this.ofStage(cascade, stage, 'escalatedQueue').add(own.queueMs);
      this.ofStage(cascade, stage, 'escalatedCall').add(own.callMs);
      if (own.handOffMs !== null) this.ofStage(cascade, stage, 'handOff').add(own.handOffMs);
    }
    // A first draft that was delivered at the deadline has been handed off before.
    const isEscalated = last > 0 || stages[0]?.handOffMs != null;
    this.of(isEscalated ? 'escalatedTotal' : 'acceptedTotal').add(totalMs);
    if (sequentialMs !== null) this.of('sequential').add(sequentialMs);
  }

  merge(other: Waits): void {
    for (const [name, sketch] of other.#sketches) this.#sketch(name).merge(sketch);
  }

  of(name: Measure): Sketch {
    return this.#sketch(name);
  }

  /** A measure of a stage, from 0, of a cascade. */
  ofStage(cascade: string, stage: number, name: StageMeasure): Sketch {
    return this.#sketch(`${cascade}/${stage + 1}/${name}`);
  }

  #sketch(name: string): Sketch {
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
