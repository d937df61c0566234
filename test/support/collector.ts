import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Value = {
  stringValue?: string;
  intValue?: number | string;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values?: Value[] };
};
type KeyValue = { readonly key: string; readonly value: Value };

/** A span as OTLP/JSON has it, flattened. */
export type CollectedSpan = {
  readonly service: string;
  /** The process that did it; absent: it is not said. */
  readonly instance: string | undefined;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  /** Microseconds. */
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly atUs: number }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 0 unset, 2 error. */
  readonly status: { readonly code?: number; readonly message?: string };
};

/** A collector that takes OTLP over HTTP, or behaves badly as a test wants it to. */
export class Collector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  readonly bodies: { readonly type: string; readonly body: Buffer }[] = [];
  answer: (response: ServerResponse) => void = (response) =>
    response.setHeader('content-type', 'application/json').end('{}');
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const type = request.headers['content-type'] ?? '';
      const body = Buffer.concat(chunks);
      this.bodies.push({ type, body });
      if (type.includes('json')) this.spans.push(...spansOf(JSON.parse(body.toString()) as Exported));
      this.answer(response);
    });
  });

  static async start(): Promise<Collector> {
    const collector = new Collector();
    collector.#server.listen(0, '127.0.0.1');
    await once(collector.#server, 'listening');
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The spans of each trace. */
  traces(): Map<string, CollectedSpan[]> {
    return Map.groupBy(this.spans, ({ traceId }) => traceId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

type Exported = {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly RawSpan[] }[];
  }[];
};

type RawSpan = Pick<CollectedSpan, 'traceId' | 'spanId' | 'name' | 'kind'> & {
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly KeyValue[];
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: CollectedSpan['status'];
};

const microseconds = (nano: string): number => Number(BigInt(nano) / 1_000n);

function spansOf({ resourceSpans }: Exported): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const { 'service.name': service, 'service.instance.id': instance } = valuesOf(resource.attributes);
    return scopeSpans
      .flatMap(({ spans }) => spans)
      .map((span) => ({
        service: String(service),
        instance: typeof instance === 'string' ? instance : undefined,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        name: span.name,
        kind: span.kind,
        startUs: microseconds(span.startTimeUnixNano),
        endUs: microseconds(span.endTimeUnixNano),
        attributes: valuesOf(span.attributes ?? []),
        events: (span.events ?? []).map(({ name, timeUnixNano }) => ({ name, atUs: microseconds(timeUnixNano) })),
        links: span.links ?? [],
        status: span.status ?? {},
      }));
  });
}

const valuesOf = (pairs: readonly KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, valueOf(value)]));

function valueOf(value: Value): unknown {
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(valueOf);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.doubleValue ?? value.boolValue ?? null;
}
