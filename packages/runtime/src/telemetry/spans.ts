import { diag, SpanKind, SpanStatusCode, TraceFlags, type Attributes, type HrTime } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, envDetector, resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import type { MeterProvider } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { cutText, type FinishedSpan, type SpanAttributes, type SpanService } from '@spillway/core';
import type { Log } from '../log.ts';
import { pause } from '../pause.ts';
import type { TracingSettings } from './settings.ts';

/** Stopping waits so long for the last spans; a collector that hangs gets no more. */
const FLUSH_MS = 5_000;

/** What goes wrong with a collector is logged at most this often. */
const COMPLAINT_MS = 300_000;

const SCOPE = { name: 'spillway' };

/**
 * Hands finished spans to a collector. They are made whole before they come here (see core/trace), so no tracer is
 * needed: the SDK's batching, bounded queue and exporters are. A collector that is away, slow or hangs costs spans,
 * which are counted, and nothing else.
 */
export class Spans implements AsyncDisposable {
  readonly settings: TracingSettings;
  readonly #processor: BatchSpanProcessor;
  readonly #resources: Readonly<Record<SpanService, Resource>>;

  constructor(settings: TracingSettings, meters: MeterProvider, log: Log) {
    this.settings = settings;
    tellOfTrouble(log);
    const exporter = settings.protocol === 'http/json' ? new JsonExporter() : new ProtobufExporter();
    this.#processor = new BatchSpanProcessor({ exporter, ...settings.queue, selfObsMeterProvider: meters });
    const detected = detectResources({ detectors: [envDetector] });
    const named = (name: string): Resource => detected.merge(resourceFromAttributes({ 'service.name': name }));
    const { serviceName } = settings;
    this.#resources = {
      spillway: named(serviceName),
      drafter: named(`${serviceName}-drafter`),
      expert: named(`${serviceName}-expert`),
    };
  }

  emit(spans: readonly FinishedSpan[]): void {
    for (const span of spans) this.#processor.onEnd(this.#readable(span));
  }

  /** Sends what waits, for a bounded time. */
  async [Symbol.asyncDispose](): Promise<void> {
    const limit = new AbortController();
    const sent = this.#processor.shutdown().catch((error: unknown) => diag.warn(String(error)));
    await Promise.race([sent, pause(FLUSH_MS, limit.signal)]);
    limit.abort();
  }

  #readable(span: FinishedSpan): ReadableSpan {
    const { traceId } = span;
    const context = (id: string, trace = traceId) => ({ traceId: trace, spanId: id, traceFlags: TraceFlags.SAMPLED });
    const own = context(span.spanId);
    return {
      name: span.name,
      kind: span.kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL,
      spanContext: () => own,
      ...(span.parentId === null ? {} : { parentSpanContext: context(span.parentId) }),
      startTime: hrTime(span.startUs),
      endTime: hrTime(span.endUs),
      duration: hrTime(span.endUs - span.startUs),
      status:
        span.error === null
          ? { code: SpanStatusCode.UNSET }
          : { code: SpanStatusCode.ERROR, message: this.#cut(span.error) },
      attributes: this.#attributes(span.attributes),
      links: span.link === null ? [] : [{ context: context(span.link.spanId, span.link.traceId) }],
      events: span.events.map(({ name, atUs, attributes }) => ({
        name,
        time: hrTime(atUs),
        attributes: this.#attributes(attributes),
      })),
      ended: true,
      resource: this.#resources[span.service],
      instrumentationScope: SCOPE,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }

  #attributes(given: SpanAttributes): Attributes {
    const attributes: Attributes = {};
    for (const [name, value] of Object.entries(given)) {
      if (value === null) continue;
      if (typeof value === 'string') attributes[name] = this.#cut(value);
      else attributes[name] = typeof value === 'object' ? value.map((one) => this.#cut(one)) : value;
    }
    return attributes;
  }

  /** Halves of characters are no UTF-8, and a collector refuses all that comes in one message with them. */
  #cut(text: string): string {
    return cutText(text, this.settings.valueLength).toWellFormed();
  }
}

const hrTime = (us: number): HrTime => [Math.floor(us / 1_000_000), (us % 1_000_000) * 1_000];

/** The SDK tells what goes wrong by its own logger: into ours, and not once for every export that fails. */
function tellOfTrouble(log: Log): void {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  const tell = (text: string): void => {
    const isDue = performance.now() - toldAtMs >= COMPLAINT_MS;
    if (isDue) toldAtMs = performance.now();
    log[isDue ? 'warn' : 'debug']({ said: cutText(text, 500) }, 'traces could not be sent; work goes on');
  };
  const quiet = (): void => undefined;
  diag.setLogger({ error: tell, warn: tell, info: quiet, debug: quiet, verbose: quiet });
}
