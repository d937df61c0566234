import { diag, SpanKind, SpanStatusCode, TraceFlags, type Attributes, type HrTime } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, envDetector, resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import type { MeterProvider } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { cutText, type FinishedSpan, type SpanAttributes } from '@spillway/core';
import type { Log } from '../log.ts';
import { pause } from '../pause.ts';
import { machineOf } from '../process-name.ts';
import type { TracingSettings } from './settings.ts';

/** Stopping waits so long for the last spans; a collector that hangs gets no more. */
const FLUSH_MS = 5_000;

/** What goes wrong with a collector is logged at most this often. */
const COMPLAINT_MS = 300_000;

/** What OTEL_RESOURCE_ATTRIBUTES may say that is true of one process or machine only. */
const OF_A_PROCESS = /^(?:service\.instance|k8s\.(?:pod|node|container)|host|process|container)\./;

/** Workers come and go; those that are there at a time are fewer. */
const MAX_RESOURCES = 1_000;

/** A worker as its spans name it; in a cluster its machine is its pod. */
const processOf = (name: string): Attributes => ({ 'service.instance.id': name, 'host.name': machineOf(name) });

const SCOPE = { name: 'spillway' };

/**
 * Hands finished spans to a collector. They are made whole before they come here (see core/trace), so no tracer is
 * needed: the SDK's batching, bounded queue and exporters are. A collector that is away, slow or hangs costs spans,
 * which are counted, and nothing else.
 */
export class Spans implements AsyncDisposable {
  readonly settings: TracingSettings;
  readonly #processor: BatchSpanProcessor;
  readonly #shared: Attributes;
  readonly #resources = new Map<string, Resource>();

  constructor(settings: TracingSettings, meters: MeterProvider, log: Log) {
    this.settings = settings;
    tellOfTrouble(log);
    const exporter = settings.protocol === 'http/json' ? new JsonExporter() : new ProtobufExporter();
    this.#processor = new BatchSpanProcessor({ exporter, ...settings.queue, selfObsMeterProvider: meters });
    const { attributes } = detectResources({ detectors: [envDetector] });
    this.#shared = Object.fromEntries(Object.entries(attributes).filter(([name]) => !OF_A_PROCESS.test(name)));
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
      resource: this.#resourceOf(span),
      instrumentationScope: SCOPE,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }

  /** The service, and the process that did it: whoever settles a document tells of what others did. */
  #resourceOf({ service, by }: Pick<FinishedSpan, 'service' | 'by'>): Resource {
    const key = `${service} ${by ?? ''}`;
    let resource = this.#resources.get(key);
    if (resource === undefined) {
      const { serviceName } = this.settings;
      const name = service === 'spillway' ? serviceName : `${serviceName}-${service}`;
      resource = resourceFromAttributes({
        ...this.#shared,
        'service.name': name,
        ...(by === null ? {} : processOf(by)),
      });
      if (this.#resources.size >= MAX_RESOURCES) this.#resources.clear();
      this.#resources.set(key, resource);
    }
    return resource;
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
