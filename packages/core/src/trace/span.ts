/** The services that spans are of; each tier has its own, so that a tracing UI tells them apart by colour. */
export type SpanService = 'spillway' | 'drafter' | 'expert';

export type SpanValue = string | number | boolean | readonly string[];

/** Attributes; null is left out. */
export type SpanAttributes = Readonly<Record<string, SpanValue | null>>;

export type SpanEvent = { readonly name: string; readonly atUs: number; readonly attributes: SpanAttributes };

/** A span that is over, as it is handed to the exporter. Times in whole microseconds since 1970. */
export type FinishedSpan = {
  readonly name: string;
  readonly service: SpanService;
  /** The process that did it, if it was another one than the one that tells of it; null: it is not said. */
  readonly by: string | null;
  readonly kind: 'internal' | 'client';
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes: SpanAttributes;
  readonly events: readonly SpanEvent[];
  /** Why it failed; null when it did not. */
  readonly error: string | null;
  readonly link: { readonly traceId: string; readonly spanId: string } | null;
};

export const microseconds = (ms: number): number => Math.round(ms * 1_000);
