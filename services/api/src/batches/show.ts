import { endedBatch, liveBatch, type BatchObject, type Manifest, type Progress } from '@spillway/core';
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
  const live = await readLive(sources, manifest.id);
  const seen = async (state: BatchState) => ({ waiting: await obstacles.of(manifest, state), nowMs: Date.now() });
  if (live.kind === 'live' && live.state.phase !== 'closed' && !live.state.isRestored) {
    return liveBatch(manifest, live.state, await seen(live.state));
  }
  // Redis drops an ended batch a moment after its final record was written, and a recovery may put one back that somebody
  // was ending just then; whoever saw that record must not see less.
  const final = await sources.records.final(manifest.id);
  if (final !== null) return endedBatch(manifest, final);
  if (live.kind === 'live') return liveBatch(manifest, live.state, await seen(live.state));
  const waiting = live.kind === 'absent' ? [] : [redisObstacle(live.kind)];
  return liveBatch(manifest, await storedProgress(sources, manifest), { waiting, nowMs: null });
}

/** How far storage knows a batch to be. What was settled since the last page was sealed is only in Redis. */
async function storedProgress({ records, accounts }: BatchSources, manifest: Manifest): Promise<Progress> {
  const { id } = manifest;
  const [validated, ending] = await Promise.all([records.validated(id), records.ending(id)]);
  const { counts, said } = await accounts.read(manifest);
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
    said,
    warnings: [],
    notes: [],
    inProgressAtMs: validated?.validatedAtMs ?? null,
    closedAtMs: ending?.endedAtMs ?? null,
  };
}
