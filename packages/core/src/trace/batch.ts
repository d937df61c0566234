import { readCounts } from '../accounting/counts.ts';
import { digest } from '../text/digest.ts';
import type { FinalRecord, Manifest } from '../batch/records.ts';
import { batchTrace } from './ids.ts';
import { microseconds, type FinishedSpan } from './span.ts';

/** The trace of an ended batch: validating, working on its documents, ending. Its documents' traces link to it. */
export function batchSpans(manifest: Manifest, final: FinalRecord): FinishedSpan[] {
  const { traceId, spanId } = batchTrace(manifest.id);
  const shared = { service: 'spillway', by: null, kind: 'internal', traceId, events: [], link: null } as const;
  const bounds: [string, number, number][] =
    final.inProgressAtMs === null
      ? [['validate', manifest.createdAtMs, final.closedAtMs]]
      : [
          ['validate', manifest.createdAtMs, final.inProgressAtMs],
          ['documents', final.inProgressAtMs, final.closedAtMs],
        ];
  const parts = [...bounds, ['end', final.closedAtMs, final.endedAtMs] as const];
  const names = { 'cascade.batch.id': manifest.id, 'cascade.name': final.model };
  let endUs = microseconds(manifest.createdAtMs) - 1;
  const children = parts.map(([name, fromMs, toMs]): FinishedSpan => {
    const startUs = Math.max(microseconds(fromMs), endUs + 1);
    endUs = Math.max(startUs, microseconds(toMs) - 1);
    const id = digest('span', manifest.id, name).slice(0, 16);
    return { ...shared, name, spanId: id, parentId: spanId, startUs, endUs, attributes: names, error: null };
  });
  const { outcome } = final;
  const counts = readCounts(final);
  const root: FinishedSpan = {
    ...shared,
    name: 'batch',
    spanId,
    parentId: null,
    startUs: microseconds(manifest.createdAtMs),
    endUs: Math.max(endUs, microseconds(final.endedAtMs)),
    attributes: {
      ...names,
      'cascade.batch.outcome': outcome,
      'cascade.documents.total': final.total,
      'cascade.documents.completed': counts.completed,
      'cascade.documents.failed': counts.failed,
      'cascade.documents.escalated': counts.escalated,
    },
    error: outcome === 'failed' ? (final.errors[0]?.code ?? 'failed') : null,
  };
  return [root, ...children];
}
