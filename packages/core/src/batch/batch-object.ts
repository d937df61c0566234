import { shownAudits, type Audits } from '../audit/index.ts';
import { batchUsage, NO_COUNTS, readCounts, type Counts } from '../accounting/counts.ts';
import { failuresOf, reasonsOf, type Said } from '../accounting/reasons.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { NO_PROGRESS, progressInTheEnd, progressOf, type ProgressNote, type ShownProgress } from '../progress/index.ts';
import { shownStatus, type BatchStatus, type Outcome, type Phase } from './status.ts';
import { rulesInForce } from './rules-in-force.ts';
import type { BatchPriority, FileRecord, FinalRecord, Manifest } from './records.ts';
import { NO_THRESHOLDS, showThresholds, type ThresholdFacts } from './shown-thresholds.ts';
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
  /** Of them, those that are answered from an equal one. */
  readonly copies: number;
  readonly model: string | null;
  readonly enqueued: number;
  readonly pages: number;
  readonly sealedPages: number;
  readonly counts: Counts;
  readonly audits: Audits;
  readonly paused: boolean;
  readonly goesFirst: boolean;
  readonly said: Said;
  readonly warnings: readonly Warning[];
  /** How far it was before. */
  readonly notes: readonly ProgressNote[];
  readonly inProgressAtMs: number | null;
  readonly closedAtMs: number | null;
};

/** Why documents of a batch do not move. */
export const WAITING_STATES = [
  /** Of the tier's circuit breaker. */
  'held',
  'open',
  'half_open',
  /** The tier's breaker is closed, but each of its workers waits for a model server of its own. */
  'paused',
  /** Documents are in the tier's queue, and no worker of it is there. */
  'no_workers',
  /** None of its documents is in a queue: as much as may be is enqueued for the tier, or for all of them in Redis. */
  'capacity',
  /** The batch has cost what it may, and is being ended. */
  'max_usd_reached',
  /** Somebody has paused the batch. */
  'batch_paused',
  /** Its thresholds are found by a sample of its documents, which is being answered. */
  'sampling',
  /** Redis does not say how far the batch is: it is away, or lost its memory and is given it back. */
  'recovering',
] as const;

/** What a batch waits for. */
export type Waiting = {
  /** Null: all tiers are the same. */
  readonly tier: string | null;
  readonly state: (typeof WAITING_STATES)[number];
  readonly reason: string;
  /** Null: nobody knows. */
  readonly sinceMs: number | null;
};

/** What is seen of a batch in work beside its own state. */
type Seen = {
  readonly waiting: readonly Waiting[];
  /** Null: its state is not that of now. */
  readonly nowMs: number | null;
  readonly thresholds: ThresholdFacts;
};

type Shown = {
  status: BatchStatus;
  total: number;
  model: string | null;
  counts: Counts;
  audits: Audits;
  said: Said;
  warnings: readonly Warning[];
  waiting: readonly Waiting[];
  thresholds: ThresholdFacts;
  progress: ShownProgress;
  paused: boolean;
  priority: BatchPriority;
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

/** What OpenAI's object has no place for: why documents were escalated, why they failed, how far they are, and what they wait for. */
function accountOf(
  manifest: Manifest,
  { model: named, counts, audits, said, warnings, waiting, progress, paused, priority, thresholds, closedAtMs }: Shown,
) {
  const inForce = rulesInForce(namedCascades(manifest, named), thresholds.calibration?.cascades ?? {});
  const stages = Object.entries(manifest.cascades).flatMap(([cascade, { stages: all }]) =>
    all.map(({ model }, stage) => ({
      cascade,
      stage: stage + 1,
      model,
      reasons: reasonsOf(counts, said, cascade, stage),
    })),
  );
  return {
    paused,
    priority,
    documents: { accepted: counts.accepted, copied: counts.copied ?? 0, kept: counts.kept ?? 0 },
    escalations: stages.filter(({ reasons }) => reasons.length > 0),
    failures: failuresOf(counts, said),
    warnings: warnings.map(showWarning),
    // Of a batch of several cascades nobody knows here which of them its documents name.
    audits: shownAudits(audits, counts, inForce).filter(({ chosen }) => named !== null || chosen > 0),
    progress,
    waiting: waiting.map(showWaiting),
    thresholds: showThresholds(manifest, thresholds, { counts, isOver: closedAtMs !== null }),
  };
}

const showWaiting = ({ tier, state, reason, sinceMs }: Waiting) => ({ tier, state, since: seconds(sinceMs), reason });

/** The cascades that the documents of a batch name, as far as that is known. */
function namedCascades({ cascades }: Manifest, model: string | null): Readonly<Record<string, CascadeRules>> {
  const rules = model === null ? undefined : cascades[model];
  return model === null || rules === undefined ? cascades : { [model]: rules };
}

/** A batch in work, and what it waits for; `progress` is null while Redis does not know it (again) yet. */
export function liveBatch(
  manifest: Manifest,
  progress: Progress | null,
  { waiting, nowMs, thresholds }: Seen = { waiting: [], nowMs: null, thresholds: NO_THRESHOLDS },
) {
  const validated = progress !== null && progress.inProgressAtMs !== null;
  return batchObject(manifest, {
    status: progress === null ? 'validating' : shownStatus(progress.phase, progress.outcome, validated),
    total: progress?.total ?? 0,
    model: progress?.model ?? null,
    counts: progress?.counts ?? NO_COUNTS,
    audits: progress?.audits ?? {},
    said: progress?.said ?? {},
    warnings: progress?.warnings ?? [],
    progress: progress === null ? NO_PROGRESS : progressOfLive(manifest, progress, nowMs),
    paused: progress?.paused === true,
    priority: progress?.goesFirst === true ? 'high' : 'normal',
    waiting,
    thresholds,
    errors: [],
    inProgressAtMs: progress?.inProgressAtMs ?? null,
    closedAtMs: progress?.closedAtMs ?? null,
    endedAtMs: null,
    outputFileId: null,
    errorFileId: null,
  });
}

function progressOfLive(manifest: Manifest, progress: Progress, nowMs: number | null): ShownProgress {
  if (progress.inProgressAtMs === null) return NO_PROGRESS;
  const known = { ...progress, cascades: namedCascades(manifest, progress.model) };
  const { createdAtMs, expiresAtMs, metadata } = manifest;
  if (progress.phase === 'open' && nowMs !== null) {
    const shown = progressOf({ ...known, createdAtMs, expiresAtMs, metadata }, nowMs);
    // Nobody knows when it goes on.
    return progress.paused ? { ...shown, left_seconds: null } : shown;
  }
  return progressInTheEnd({ ...known, endedAtMs: progress.closedAtMs });
}

/** A batch that has ended. */
export function endedBatch(manifest: Manifest, final: FinalRecord, thresholds = NO_THRESHOLDS) {
  const { said = {}, warnings = [], audits = {} } = final;
  const sums = readCounts(final);
  const cascades = namedCascades(manifest, final.model);
  const progress = progressInTheEnd({ ...final, counts: sums, audits, cascades, endedAtMs: final.closedAtMs });
  return batchObject(manifest, {
    ...final,
    counts: sums,
    audits,
    said,
    warnings,
    progress,
    waiting: [],
    paused: false,
    priority: 'normal',
    thresholds,
    status: final.outcome,
  });
}
