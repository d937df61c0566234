import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Attributes, Counter, Histogram, Meter, ObservableResult } from '@opentelemetry/api';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { detectResources, envDetector, resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  AggregationType,
  InstrumentType,
  MeterProvider,
  MetricReader,
  type AggregationOption,
} from '@opentelemetry/sdk-metrics';
import { processName } from '../process-name.ts';
import { VERSION } from '../version.ts';
import {
  COUNTERS,
  GAUGES,
  HISTOGRAMS,
  shownName,
  type CounterName,
  type GaugeName,
  type HistogramName,
} from './catalogue.ts';

/** From a hand-off's milliseconds to a batch's day: no bound is more than two and a half times the one before. */
const BOUNDS_SECONDS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000,
  20_000, 40_000, 86_400,
];

/** How often the event loop is looked at: what stands still for much longer shows, and looking costs nothing. */
const DELAY_RESOLUTION_MS = 10;

/** Of one metric; what is beyond is counted together. A stage of a cascade has some thirty, one for each reason. */
const MAX_LABEL_SETS = 20_000;

/** What a gauge shows: a value for each set of labels. */
export type Reading = readonly (readonly [value: number, labels: Attributes])[];

/**
 * Reads gauges as deltas and all else as sums. The SDK's own reader for Prometheus has everything as sums, and so shows
 * the last value of a gauge for ever: of a dispatcher that leads no more, of a tier that is gone.
 */
class NowReader extends MetricReader {
  constructor() {
    super({
      aggregationTemporalitySelector: (type) =>
        type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
      cardinalitySelector: () => MAX_LABEL_SETS,
    });
  }

  protected override async onForceFlush(): Promise<void> {}

  protected override async onShutdown(): Promise<void> {}
}

/** The metrics of this process: every name of the catalogue, shown as Prometheus has it. */
export class Meters implements AsyncDisposable {
  readonly provider: MeterProvider;
  readonly #reader = new NowReader();
  readonly #serializer = new PrometheusSerializer('', false, undefined, false, true);
  readonly #meter: Meter;
  readonly #histograms = new Map<HistogramName, Histogram>();
  readonly #counters = new Map<CounterName, Counter>();
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  #reading: Promise<string> | null = null;

  /** `service` is which one this process is, such as `api`. */
  constructor(service: string) {
    const type = AggregationType.EXPLICIT_BUCKET_HISTOGRAM;
    const aggregation: AggregationOption = { type, options: { boundaries: BOUNDS_SECONDS } };
    this.provider = new MeterProvider({
      resource: resourceOf(service),
      readers: [this.#reader],
      views: [{ instrumentType: InstrumentType.HISTOGRAM, aggregation }],
    });
    this.#meter = this.provider.getMeter('spillway');
    this.gauge('spillway.build.info', () => [[1, { service, version: VERSION, node: process.version }]]);
    this.gauge('process.memory.usage', () => [[process.memoryUsage.rss(), {}]]);
  }

  /** From now on shows how busy the event loop is: what a start loads and reads holds it up, and nobody waits for it yet. */
  watchLoop(): void {
    let last = performance.eventLoopUtilization();
    this.gauge('nodejs.eventloop.utilization', () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return [[utilization, {}]];
    });
    this.#delay.enable();
    this.gauge('nodejs.eventloop.delay.max', () => {
      // What is measured is the time between two rings of a timer, which is its own period where nothing holds it up.
      const longestMs = Math.max(0, this.#delay.max / 1e6 - DELAY_RESOLUTION_MS);
      this.#delay.reset();
      return [[longestMs / 1_000, {}]];
    });
  }

  /** Seconds. */
  time(name: HistogramName, seconds: number, labels: Attributes): void {
    this.#histogram(name).record(Math.max(0, seconds), labels);
  }

  #histogram(name: HistogramName): Histogram {
    const known = this.#histograms.get(name);
    if (known !== undefined) return known;
    const [unit, description] = HISTOGRAMS[name];
    const histogram = this.#meter.createHistogram(shownName(name, unit), { unit, description });
    this.#histograms.set(name, histogram);
    return histogram;
  }

  count(name: CounterName, by: number, labels: Attributes = {}): void {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      const [unit, description] = COUNTERS[name];
      counter = this.#meter.createCounter(shownName(name, unit), { unit, description });
      this.#counters.set(name, counter);
    }
    counter.add(by, labels);
  }

  /** Shows a counter from the start, at 0 for each of these labels: what is first seen at 1 has not increased. */
  begin(name: CounterName, labels: readonly Attributes[] = [{}]): void {
    for (const one of labels) this.count(name, 0, one);
  }

  /** The same for a histogram: the SDK takes note of the labels of what is no number, and counts nothing. */
  beginTimes(name: HistogramName, labels: readonly Attributes[]): void {
    for (const one of labels) this.#histogram(name).record(Number.NaN, one);
  }

  /** Shows what `read` answers whenever somebody asks; a reading that fails or is empty shows nothing. */
  gauge(name: GaugeName, read: () => Reading | Promise<Reading>): void {
    const [unit, description] = GAUGES[name];
    const observe = async (result: ObservableResult): Promise<void> => {
      for (const [value, labels] of await read()) result.observe(value, labels);
    };
    this.#meter.createObservableGauge(shownName(name, unit), { unit, description }).addCallback(observe);
  }

  /** All of them in Prometheus' text format. Of two that ask at once each delta would go to one: both get one reading. */
  text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #read(): Promise<string> {
    const { resourceMetrics } = await this.#reader.collect();
    return this.#serializer.serialize(resourceMetrics);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#delay.disable();
    await this.provider.shutdown();
  }
}

/** What `target_info` shows: the name that the traces of such a process have, and what else the environment says of it. */
function resourceOf(service: string): Resource {
  const detected = detectResources({ detectors: [envDetector] });
  const { 'service.name': given } = detected.attributes;
  const name = `${typeof given === 'string' ? given : 'spillway'}-${service}`;
  return detected.merge(
    resourceFromAttributes({ 'service.name': name, 'service.version': VERSION, 'service.instance.id': processName() }),
  );
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
