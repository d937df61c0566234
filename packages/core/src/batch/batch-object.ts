import { batchUsage, NO_COUNTS, readCounts, type Counts } from '../accounting/counts.ts';
import { shownStatus, type BatchStatus, type Outcome, type Phase } from './status.ts';
import type { FileRecord, FinalRecord, Manifest } from './records.ts';
import type { LineError } from '../document/request.ts';

/** A file as the API shows it. */
export type FileObject = ReturnType<typeof fileObject>;
/** A batch as the API shows it. */
export type BatchObject = ReturnType<typeof liveBatch>;

const seconds = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1000));

export function fileObject(record: FileRecord) {
  return {
    id: record.id,
    object: 'file' as const,
    bytes: record.bytes,
    created_at: Math.floor(record.createdAtMs / 1000),
    expires_at: seconds(record.expiresAtMs),
    filename: record.filename,
    purpose: record.purpose,
    status: 'processed' as const,
    status_details: null,
  };
}

/** What Redis knows of a batch in work. Times in Unix milliseconds. */
export type Progress = {
  readonly phase: Phase;
  readonly outcome: Outcome | null;
  readonly total: number;
  readonly model: string | null;
  readonly enqueued: number;
  readonly pages: number;
  readonly sealedPages: number;
  readonly counts: Counts;
  readonly inProgressAtMs: number | null;
  readonly closedAtMs: number | null;
};

type Shown = {
  status: BatchStatus;
  total: number;
  model: string | null;
  counts: Counts;
  errors: readonly LineError[];
  inProgressAtMs: number | null;
  closedAtMs: number | null;
  endedAtMs: number | null;
  outputFileId: string | null;
  errorFileId: string | null;
};

function batchObject(manifest: Manifest, shown: Shown) {
  const { status } = shown;
  const when = (...states: BatchStatus[]): number | null => (states.includes(status) ? seconds(shown.endedAtMs) : null);
  return {
    id: manifest.id,
    object: 'batch' as const,
    endpoint: manifest.endpoint,
    model: shown.model,
    errors: shown.errors.length > 0 ? { object: 'list' as const, data: shown.errors } : null,
    input_file_id: manifest.inputFileId,
    completion_window: manifest.completionWindow,
    status,
    output_file_id: shown.outputFileId,
    error_file_id: shown.errorFileId,
    created_at: Math.floor(manifest.createdAtMs / 1000),
    in_progress_at: seconds(shown.inProgressAtMs),
    expires_at: Math.floor(manifest.expiresAtMs / 1000),
    finalizing_at: status === 'finalizing' || status === 'completed' ? seconds(shown.closedAtMs) : null,
    completed_at: when('completed'),
    failed_at: when('failed'),
    expired_at: when('expired'),
    cancelling_at: status === 'cancelling' || status === 'cancelled' ? seconds(shown.closedAtMs) : null,
    cancelled_at: when('cancelled'),
    request_counts: { total: shown.total, completed: shown.counts.completed, failed: shown.counts.failed },
    usage: batchUsage(shown.counts),
    metadata: manifest.metadata,
  };
}

/** A batch in work; `progress` is null while Redis does not know it (again) yet. */
export function liveBatch(manifest: Manifest, progress: Progress | null) {
  const validated = progress !== null && progress.inProgressAtMs !== null;
  return batchObject(manifest, {
    status: progress === null ? 'validating' : shownStatus(progress.phase, progress.outcome, validated),
    total: progress?.total ?? 0,
    model: progress?.model ?? null,
    counts: progress?.counts ?? NO_COUNTS,
    errors: [],
    inProgressAtMs: progress?.inProgressAtMs ?? null,
    closedAtMs: progress?.closedAtMs ?? null,
    endedAtMs: null,
    outputFileId: null,
    errorFileId: null,
  });
}

/** A batch that has ended. */
export function endedBatch(manifest: Manifest, final: FinalRecord) {
  return batchObject(manifest, { ...final, counts: readCounts(final.counts), status: final.outcome });
}
