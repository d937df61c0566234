import { digest } from '../ids.ts';
import type { DocumentJob } from '../job.ts';
import type { Role } from '../rules.ts';

/** Names a span: 32 and 16 hex digits, as W3C Trace Context has them. */
export type SpanName = { readonly traceId: string; readonly spanId: string };

const spanIdOf = (...parts: readonly string[]): string => digest('span', ...parts).slice(0, 16);

/** What tells a document's way from every other: a document that is fed again after a loss begins a new one. */
type Way = Pick<DocumentJob, 'batch' | 'document' | 'fedAtMs'>;

const partsOf = ({ batch, document, fedAtMs }: Way): [string, string, string] => [
  batch,
  String(document),
  String(fedAtMs),
];

/** The trace of a document and its root span. Derived, so that whoever meets the document names the same one. */
export function documentTrace(way: Way): SpanName {
  return { traceId: digest('trace', ...partsOf(way)), spanId: spanIdOf(...partsOf(way)) };
}

/** The trace of a batch and its root span. */
export function batchTrace(batch: string): SpanName {
  return { traceId: digest('trace', batch), spanId: spanIdOf(batch) };
}

/** A span of a document's trace: `what` tells it from the others. */
export function documentSpanId(way: Way, ...what: readonly string[]): string {
  return spanIdOf(...partsOf(way), ...what);
}

/** The span of a call of a tier's model; `attempt` counts from 1. */
export function callSpanId(way: Way, role: Role, attempt: number): string {
  return documentSpanId(way, 'call', role, String(attempt));
}

/** The header that tells a model server which trace its work belongs to (W3C Trace Context, version 00). */
export function traceparentOf(way: Way, role: Role, attempt: { number: number; sampled: boolean }): string {
  const { traceId } = documentTrace(way);
  return `00-${traceId}-${callSpanId(way, role, attempt.number)}-${attempt.sampled ? '01' : '00'}`;
}

/** Whether a document is among a share (0 to 1) of all, drawn evenly: by a digest, so that everybody draws the same. */
export function isDrawn(way: Pick<Way, 'batch' | 'document'>, share: number): boolean {
  const drawn = Number.parseInt(digest('draw', way.batch, String(way.document)).slice(0, 8), 16) / 2 ** 32;
  return drawn < share;
}
