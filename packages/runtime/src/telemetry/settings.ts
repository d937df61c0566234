import type { EnvReader } from '../env.ts';

/** Which documents' traces are kept: by a budget for each batch, or a share of all of them. */
export type Sampling =
  | { readonly kind: 'budget'; readonly perBatch: number; readonly slowMs: number }
  | { readonly kind: 'share'; readonly share: number };

/** How this process traces. The exporter itself reads OTEL_EXPORTER_OTLP_* (address, headers, time-out, compression). */
export type TracingSettings = {
  readonly sampling: Sampling;
  /** Whether prompts and answers may be in spans. */
  readonly content: boolean;
  readonly protocol: 'http/protobuf' | 'http/json';
  /** Characters of an attribute's text. */
  readonly valueLength: number;
  readonly queue: {
    readonly maxQueueSize: number;
    readonly maxExportBatchSize: number;
    readonly scheduledDelayMillis: number;
    readonly exportTimeoutMillis: number;
  };
  /** `service.name` of the root spans; each tier's is this with its name. */
  readonly serviceName: string;
};

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

const PROTOCOLS = ['http/protobuf', 'http/json'] as const;

/** Reads the standard variables of OpenTelemetry; null: there is nowhere to send traces to, or they are switched off. */
export function readTracing(reader: EnvReader): TracingSettings | null {
  const exporter = reader.text('OTEL_TRACES_EXPORTER') ?? 'otlp';
  const addresses = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'].filter(
    (name) => reader.text(name) !== null,
  );
  for (const name of addresses) {
    const address = URL.parse(reader.text(name) ?? '');
    // The exporter itself would go on with another address.
    if (address === null || !/^https?:$/.test(address.protocol)) {
      reader.problem(`${name}: expected an http:// or https:// address, such as http://127.0.0.1:4318`);
    }
  }
  const isOff = reader.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporter === 'none';
  if (exporter !== 'otlp' && exporter !== 'none') {
    reader.problem(`OTEL_TRACES_EXPORTER: expected otlp or none, got "${exporter}"`);
  }
  const settings: TracingSettings = {
    sampling: readSampling(reader),
    content: reader.text('OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT')?.toLowerCase() === 'true',
    protocol: reader.oneOf(
      reader.text('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') === null
        ? 'OTEL_EXPORTER_OTLP_PROTOCOL'
        : 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL',
      PROTOCOLS,
      'http/protobuf',
    ),
    valueLength: reader.integer(
      reader.text('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT') === null
        ? 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'
        : 'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
      { fallback: 4_096, min: 0, max: 1_000_000 },
    ),
    queue: {
      maxQueueSize: reader.integer('OTEL_BSP_MAX_QUEUE_SIZE', { fallback: 4_096, min: 1, max: 1_000_000 }),
      maxExportBatchSize: reader.integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', { fallback: 512, min: 1, max: 100_000 }),
      scheduledDelayMillis: reader.integer('OTEL_BSP_SCHEDULE_DELAY', { fallback: 5_000, min: 0, max: 3_600_000 }),
      exportTimeoutMillis: reader.integer('OTEL_BSP_EXPORT_TIMEOUT', { fallback: 30_000, min: 1, max: 3_600_000 }),
    },
    serviceName: reader.text('OTEL_SERVICE_NAME') ?? 'spillway',
  };
  return isOff || addresses.length === 0 ? null : settings;
}

function readSampling(reader: EnvReader): Sampling {
  const perBatch = reader.integer('SPILLWAY_TRACES_PER_BATCH', { fallback: 1_000, min: 0, max: 10_000_000 });
  const slowMs = reader.integer('SPILLWAY_TRACE_SLOW_MS', { fallback: 10_000, min: 1, max: 86_400_000 });
  if (reader.text('OTEL_TRACES_SAMPLER') === null) return { kind: 'budget', perBatch, slowMs };
  const sampler = reader.oneOf('OTEL_TRACES_SAMPLER', SAMPLERS, 'always_on');
  if (sampler.endsWith('always_on')) return { kind: 'share', share: 1 };
  if (sampler.endsWith('always_off')) return { kind: 'share', share: 0 };
  const text = reader.text('OTEL_TRACES_SAMPLER_ARG') ?? '1';
  const share = Number(text);
  if (!(share >= 0 && share <= 1)) {
    reader.problem(`OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, got "${text}"`);
  }
  return { kind: 'share', share };
}
