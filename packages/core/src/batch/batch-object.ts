import { batchUsage, NO_COUNTS, readCounts, type Counts } from '../accounting/counts.ts';
import { failuresOf, reasonsOf, type Said } from '../accounting/reasons.ts';
import { shownStatus, type BatchStatus, type Outcome, type Phase } from './status.ts';
import type { FileRecord, FinalRecord, Manifest } from './records.ts';
import type { LineError } from '../document/request.ts';
import { showWarning, type Warning } from './warning.ts';

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
  readonly said: Said;
  readonly warnings: readonly Warning[];
  readonly inProgressAtMs: number | null;
  readonly closedAtMs: number | null;
};

/** A tier in which nobody works on a batch's documents now, and why. */
export type WaitingTier = {
  readonly tier: string;
  /** `paused`: its breaker is closed, but each of its workers waits for a model server of its own. */
  readonly state: 'held' | 'open' | 'half_open' | 'paused';
  readonly reason: string;
};

type Shown = {
  status: BatchStatus;
  total: number;
  model: string | null;
  counts: Counts;
  said: Said;
  warnings: readonly Warning[];
  waiting: readonly WaitingTier[];
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
    spillway: accountOf(manifest, shown),
  };
}

/** What OpenAI's object has no place for: why documents were escalated, why they failed, and what they wait for. */
function accountOf({ cascades }: Manifest, { counts, said, warnings, waiting }: Shown) {
  const stages = Object.entries(cascades).flatMap(([cascade, { stages: all }]) =>
    all.map(({ model }, stage) => ({
      cascade,
      stage: stage + 1,
      model,
      reasons: reasonsOf(counts, said, cascade, stage),
    })),
  );
  return {
    escalations: stages.filter(({ reasons }) => reasons.length > 0),
    failures: failuresOf(counts, said),
    warnings: warnings.map(showWarning),
    waiting,
  };
}

/** A batch in work, and the tiers that it waits for; `progress` is null while Redis does not know it (again) yet. */
export function liveBatch(manifest: Manifest, progress: Progress | null, waiting: readonly WaitingTier[] = []) {
  const validated = progress !== null && progress.inProgressAtMs !== null;
  return batchObject(manifest, {
    status: progress === null ? 'validating' : shownStatus(progress.phase, progress.outcome, validated),
    total: progress?.total ?? 0,
    model: progress?.model ?? null,
    counts: progress?.counts ?? NO_COUNTS,
    said: progress?.said ?? {},
    warnings: progress?.warnings ?? [],
    waiting,
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
  const { said = {}, warnings = [] } = final;
  const sums = readCounts(final);
  return batchObject(manifest, { ...final, counts: sums, said, warnings, waiting: [], status: final.outcome });
}
