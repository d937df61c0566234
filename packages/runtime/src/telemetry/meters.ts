import { monitorEventLoopDelay } from 'node:perf_hooks';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { AggregationType, MeterProvider, type ViewOptions } from '@opentelemetry/sdk-metrics';
import type { Attributes, Counter, Histogram, Meter, ObservableResult } from '@opentelemetry/api';

/** From a hand-off's milliseconds to a batch's day. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400];

/** Every histogram: all are of seconds. The names without `cascade.` are OpenTelemetry's own. */
const HISTOGRAMS = {
  'cascade.queue.wait': 'What a document waited for a tier, all its attempts together.',
  'cascade.sequential_wait':
    "From an escalated document's enqueueing until the first call of the stage that delivered.",
  'cascade.document.duration': 'From enqueueing to settle.',
  'gen_ai.client.operation.duration': 'A call of a model, whatever came of it.',
  'http.server.request.duration': 'A request to the API.',
} as const;

/** Every counter, with its unit. */
const COUNTERS = {
  'cascade.documents': ['{document}', 'Settled documents.'],
  'cascade.escalations': ['{document}', 'Drafts that went on to the next stage, by reason.'],
  'cascade.tokens': ['{token}', 'Tokens that models read and wrote.'],
  'cascade.cost': ['USD', 'What the calls of settled documents cost, by the prices of the configuration.'],
  'cascade.wasted.cost': ['USD', 'What drafts cost that were not accepted.'],
  'cascade.breaker.openings': [
    '{opening}',
    "A tier's circuit breaker opened: its model server is down or asks to wait.",
  ],
  'cascade.pages.sealed': ['{page}', 'Pages that went to storage.'],
  'cascade.batches.ended': ['{batch}', 'Batches that ended, by outcome.'],
  'cascade.worker.replacements': [
    '{replacement}',
    'A worker took nothing up though documents waited, and connected to Redis anew.',
  ],
  'cascade.recoveries': ['{recovery}', 'Redis was lost and put back from storage.'],
  'cascade.step.failures': ['{failure}', 'Steps that failed for a batch and are attempted again.'],
  'cascade.requests.refused': ['{request}', 'Requests whose sender has no right to what it asked for, by reason.'],
} as const;

/** Every gauge, with its unit; observed when somebody asks. */
const GAUGES = {
  'cascade.queue.depth': ['{document}', "Documents in a tier's queue."],
  'cascade.breaker.open': ['1', "1 while a tier's circuit breaker is not closed."],
  'cascade.batches': ['{batch}', 'Batches in work, by phase.'],
  'cascade.pages.in_flight': ['By', 'Bytes of enqueued pages that are not in storage yet.'],
  'cascade.not_enqueued': ['{document}', 'Documents of validated batches that are not enqueued yet.'],
  'cascade.window.used': ['1', 'The largest share of its completion window that a batch in work has behind it.'],
  'cascade.redis.memory': ['By', 'What Redis uses.'],
  'cascade.redis.memory.limit': ['By', "Redis' maxmemory; 0 for none."],
  'cascade.leader': ['1', '1 while this dispatcher leads.'],
  'cascade.in_flight': ['{document}', 'Documents that a worker has in flight.'],
  'cascade.concurrency.limit': [
    '{call}',
    'Calls at a time that a worker allows itself; fewer while its server takes no more.',
  ],
  'process.memory.usage': ['By', 'Resident memory.'],
  'nodejs.eventloop.utilization': ['1', 'Share of time that the event loop is busy, since it was last asked.'],
  'nodejs.eventloop.delay.max': ['s', 'The longest that the event loop stood still, since it was last asked.'],
} as const;

/** How often the event loop is looked at: what stands still for much longer shows, and looking costs nothing. */
const DELAY_RESOLUTION_MS = 10;

export type HistogramName = keyof typeof HISTOGRAMS;
export type CounterName = keyof typeof COUNTERS;
export type GaugeName = keyof typeof GAUGES;

/** What a gauge shows: a value for each set of labels. */
export type Reading = readonly (readonly [value: number, labels: Attributes])[];

/** The metrics of this process: every name of the catalogue above, shown as Prometheus has it. */
export class Meters implements AsyncDisposable {
  readonly provider: MeterProvider;
  readonly #exporter = new PrometheusExporter({ preventServerStart: true });
  readonly #serializer = new PrometheusSerializer('', false, undefined, false, true);
  readonly #meter: Meter;
  readonly #histograms = new Map<HistogramName, Histogram>();
  readonly #counters = new Map<CounterName, Counter>();
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });

  constructor() {
    const views = Object.keys(HISTOGRAMS).map((name): ViewOptions => ({
      instrumentName: name,
      aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: SECONDS } },
    }));
    this.provider = new MeterProvider({ readers: [this.#exporter], views });
    this.#meter = this.provider.getMeter('spillway');
    this.gauge('process.memory.usage', () => [[process.memoryUsage.rss(), {}]]);
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
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) {
      histogram = this.#meter.createHistogram(name, { unit: 's', description: HISTOGRAMS[name] });
      this.#histograms.set(name, histogram);
    }
    histogram.record(Math.max(0, seconds), labels);
  }

  count(name: CounterName, by: number, labels: Attributes = {}): void {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      const [unit, description] = COUNTERS[name];
      counter = this.#meter.createCounter(name, { unit, description });
      this.#counters.set(name, counter);
    }
    counter.add(by, labels);
  }

  /** Shows what `read` answers whenever somebody asks; a reading that fails shows nothing. */
  gauge(name: GaugeName, read: () => Reading | Promise<Reading>): void {
    const [unit, description] = GAUGES[name];
    const observe = async (result: ObservableResult): Promise<void> => {
      for (const [value, labels] of await read()) result.observe(value, labels);
    };
    this.#meter.createObservableGauge(name, { unit, description }).addCallback(observe);
  }

  /** All of them in Prometheus' text format. */
  async text(): Promise<string> {
    const { resourceMetrics } = await this.#exporter.collect();
    return this.#serializer.serialize(resourceMetrics);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#delay.disable();
    await this.provider.shutdown();
  }
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
