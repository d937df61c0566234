import {
  addCounts,
  auditsOf,
  awaitsCalibration,
  endedBatch,
  isStageCounter,
  liveBatch,
  NO_COUNTS,
  NO_THRESHOLDS,
  readNotes,
  sampleIdOf,
  type BatchObject,
  type Manifest,
  type Progress,
  type ProgressNote,
  type ThresholdFacts,
  type Validated,
} from '@spillway/core';
import type { BatchState } from '@spillway/redis';
import type { Records } from '@spillway/storage';
import { ownBatch } from '../ownership.ts';
import type { Accounts } from './account.ts';
import { readLive, type LoggedRedis } from './live.ts';
import { Obstacles, redisObstacle } from './obstacles.ts';

/** What a batch is described from. */
export type BatchSources = LoggedRedis & { readonly records: Records; readonly accounts: Accounts };

export async function showBatch(sources: BatchSources, tenant: string, id: string): Promise<BatchObject> {
  return describeBatch(sources, await ownBatch(sources.records, tenant, id));
}

/** A batch as it stands: by Redis while it is in work, else by storage. Of a list all share one reading of `obstacles`. */
export async function describeBatch(
  sources: BatchSources,
  manifest: Manifest,
  obstacles = new Obstacles(sources),
): Promise<BatchObject> {
  return (await describeOverTime(sources, manifest, obstacles)).batch;
}

/** The same, and how far it was at some moments, oldest first; none where nobody knows. */
export async function describeOverTime(
  sources: BatchSources,
  manifest: Manifest,
  obstacles = new Obstacles(sources),
): Promise<{ readonly batch: BatchObject; readonly notes: readonly ProgressNote[] }> {
  const read = await readLive(sources, manifest.id);
  const found = await thresholdsOf(sources.records, manifest);
  const { thresholds } = found;
  const live =
    read.kind === 'live'
      ? { ...read, state: await sampling(sources, manifest, { ...found, state: read.state }) }
      : read;
  const seen = async (state: BatchState) => ({
    waiting: await obstacles.of(manifest, state),
    nowMs: Date.now(),
    thresholds,
  });
  if (live.kind === 'live' && live.state.phase !== 'closed' && !live.state.isRestored) {
    return { batch: liveBatch(manifest, live.state, await seen(live.state)), notes: live.state.notes };
  }
  // Redis drops an ended batch a moment after its final record was written, and a recovery may put one back that somebody
  // was ending just then; whoever saw that record must not see less.
  const final = await sources.records.final(manifest.id);
  if (final !== null) return { batch: endedBatch(manifest, final, thresholds), notes: readNotes(final.notes) };
  if (live.kind === 'live') {
    return { batch: liveBatch(manifest, live.state, await seen(live.state)), notes: live.state.notes };
  }
  const waiting = live.kind === 'absent' ? [] : [redisObstacle(live.kind)];
  const progress = await storedProgress(sources, manifest);
  return { batch: liveBatch(manifest, progress, { waiting, nowMs: null, thresholds }), notes: progress.notes };
}

type FoundThresholds = { readonly thresholds: ThresholdFacts; readonly validated: Validated | null };

/** How the thresholds of a batch are found that has none of its own. */
async function thresholdsOf(records: Records, manifest: Manifest): Promise<FoundThresholds> {
  if (!awaitsCalibration(manifest.cascades)) return { thresholds: NO_THRESHOLDS, validated: null };
  const [validated, calibration] = await Promise.all([
    records.validated(manifest.id),
    records.calibration(manifest.id),
  ]);
  return { thresholds: { draws: validated?.draws, calibration }, validated };
}

/**
 * A batch is validated before its thresholds are found; Redis takes results of it only from then on. What its sample has
 * cost until now was spent on it, though none of its documents is settled.
 */
async function sampling(
  sources: BatchSources,
  { id }: Manifest,
  { state, validated }: FoundThresholds & { readonly state: BatchState },
): Promise<BatchState> {
  if (state.phase !== 'validating' || validated === null) return state;
  const { total, pages, cascades, validatedAtMs } = validated;
  const model = cascades.length === 1 ? (cascades[0] ?? null) : null;
  const sample = await sources.records.manifest(sampleIdOf(id));
  const { counts } = sample === null ? { counts: NO_COUNTS } : await sources.accounts.read(sample);
  const ofStages = Object.fromEntries(Object.entries(counts).filter(([name]) => isStageCounter(name)));
  const spent = addCounts(state.counts, ofStages);
  return { ...state, counts: spent, phase: 'open', total, pages: pages.length, model, inProgressAtMs: validatedAtMs };
}

/** How far storage knows a batch to be. What was settled since the last page was sealed is only in Redis. */
async function storedProgress({ records, accounts }: BatchSources, manifest: Manifest): Promise<Progress> {
  const { id } = manifest;
  const [validated, ending] = await Promise.all([records.validated(id), records.ending(id)]);
  const [{ counts, said }, audits, steering] = await Promise.all([
    accounts.read(manifest),
    records.audits(id),
    records.steering(id),
  ]);
  return {
    phase: ending !== null ? 'closed' : validated !== null ? 'open' : 'validating',
    outcome: ending?.outcome ?? null,
    total: validated?.total ?? 0,
    copies: validated?.copies?.count ?? 0,
    model: (validated?.cascades.length === 1 ? validated.cascades[0] : null) ?? null,
    enqueued: 0,
    pages: validated?.pages.length ?? 0,
    sealedPages: 0,
    counts,
    audits: auditsOf(audits, manifest.cascades),
    said,
    warnings: [],
    notes: [],
    paused: steering?.paused === true,
    goesFirst: steering?.goesFirst === true,
    inProgressAtMs: validated?.validatedAtMs ?? null,
    closedAtMs: ending?.endedAtMs ?? null,
  };
}
