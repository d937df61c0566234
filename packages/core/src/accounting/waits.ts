import { z } from 'zod';
import { DELAY_REASONS, type DelayReason } from '../document/delays.ts';
import type { CascadeTimes, StageTimes } from '../document/times.ts';
import { Sketch, sketchRecord } from './sketch.ts';

/** What is measured of the documents of a batch as a whole, in milliseconds. */
const MEASURES = [
  /** From enqueueing to the answer: of those whose first draft was final, and of the others. */
  'acceptedTotal',
  'escalatedTotal',
  /** Of escalated ones: from enqueueing until the first call of the last stage. */
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

/** Of what delayed documents at a stage: of all of them, and of those that did not end with it. */
const DELAY_MEASURES = ['delay', 'escalatedDelay'] as const;
type DelayMeasure = (typeof DELAY_MEASURES)[number];

const DELAY_NAME = new RegExp(`^[^/]+/\\d+/(${DELAY_MEASURES.join('|')})/(${DELAY_REASONS.join('|')})$`);

/**
 * They stand beside the others: the version before takes a record with measures that it does not know for damaged. Those
 * of a version to come are there, too, and are not read.
 */
export const delaysRecord = z.record(z.string().max(200), sketchRecord);
export type DelaysRecord = z.output<typeof delaysRecord>;

export const waitsRecord = z.record(z.string().regex(NAME, 'expected the name of a measure'), sketchRecord);
export type WaitsRecord = z.output<typeof waitsRecord>;

/** An account of waiting as a record holds it; the version before writes no delays. */
export type WrittenWaits = { readonly waits: WaitsRecord; readonly delays?: DelaysRecord | undefined };

/** The account of waiting: a sketch for each measure, of any number of documents. */
export class Waits {
  readonly #sketches = new Map<string, Sketch>();

  static read({ waits, delays = {} }: WrittenWaits): Waits {
    const read = new Waits();
    const known = Object.entries(delays).filter(([name]) => DELAY_NAME.test(name));
    for (const [name, sketch] of [...Object.entries(waits), ...known]) read.#sketches.set(name, Sketch.read(sketch));
    return read;
  }

  /** Takes in one settled document. */
  add({ cascade, times }: CascadeTimes): void {
    const { stages, sequentialMs, totalMs } = times;
    const last = stages.length - 1;
    for (const [stage, own] of stages.entries()) {
      if (own === null) continue;
      this.ofStage(cascade, stage, 'queue').add(own.queueMs);
      this.ofStage(cascade, stage, 'call').add(own.callMs);
      this.#addDelays('delay', cascade, stage, own);
      if (stage === last) continue;
      this.ofStage(cascade, stage, 'escalatedQueue').add(own.queueMs);
      this.ofStage(cascade, stage, 'escalatedCall').add(own.callMs);
      this.#addDelays('escalatedDelay', cascade, stage, own);
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

  /** A delay of a stage, from 0, of a cascade: of those that it delayed. */
  ofDelay(cascade: string, stage: number, measure: DelayMeasure, reason: DelayReason): Sketch {
    return this.#sketch(`${cascade}/${stage + 1}/${measure}/${reason}`);
  }

  #addDelays(measure: DelayMeasure, cascade: string, stage: number, { delaysMs = {} }: StageTimes): void {
    for (const reason of DELAY_REASONS) {
      const ms = delaysMs[reason];
      if (ms !== undefined) this.ofDelay(cascade, stage, measure, reason).add(ms);
    }
  }

  #sketch(name: string): Sketch {
    let sketch = this.#sketches.get(name);
    if (sketch === undefined) {
      sketch = new Sketch();
      this.#sketches.set(name, sketch);
    }
    return sketch;
  }

  write(): { readonly waits: WaitsRecord; readonly delays: DelaysRecord } {
    const filled = [...this.#sketches].filter(([, sketch]) => sketch.count > 0);
    const { delays = [], waits = [] } = Object.groupBy(filled, ([name]) =>
      DELAY_NAME.test(name) ? 'delays' : 'waits',
    );
    const written = (some: typeof filled) => Object.fromEntries(some.map(([name, sketch]) => [name, sketch.write()]));
    return { waits: written(waits), delays: written(delays) };
  }
}
