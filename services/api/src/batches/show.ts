import { endedBatch, liveBatch, type BatchObject, type Manifest, type Progress } from '@spillway/core';
import type { Api } from '../api.ts';
import { readLive } from './live.ts';

export async function showBatch(api: Api, tenant: string, id: string): Promise<BatchObject> {
  return describeBatch(api, await api.records.ownBatch(tenant, id));
}

/** A batch as it stands: by Redis while it is in work, else by storage. */
export async function describeBatch(api: Api, manifest: Manifest): Promise<BatchObject> {
  const live = await readLive(api, manifest.id);
  if (live.kind === 'live' && live.state.phase !== 'closed') return liveBatch(manifest, live.state);
  // Redis drops an ended batch a moment after its final record was written; whoever saw that record must not see less.
  const final = await api.records.final(manifest.id);
  if (final !== null) return endedBatch(manifest, final);
  if (live.kind === 'live') return liveBatch(manifest, live.state);
  return liveBatch(manifest, await storedProgress(api, manifest));
}

/** How far storage knows a batch to be. What was settled since the last page was sealed is only in Redis. */
async function storedProgress(api: Api, manifest: Manifest): Promise<Progress> {
  const { id } = manifest;
  const [validated, ending] = await Promise.all([api.records.validated(id), api.records.ending(id)]);
  const { counts } = await api.accounts.read(api, manifest);
  return {
    phase: ending !== null ? 'closed' : validated !== null ? 'open' : 'validating',
    outcome: ending?.outcome ?? null,
    total: validated?.total ?? 0,
    model: (validated?.cascades.length === 1 ? validated.cascades[0] : null) ?? null,
    fed: 0,
    pages: validated?.pages.length ?? 0,
    sealedPages: 0,
    counts,
    inProgressAtMs: validated?.validatedAtMs ?? null,
    closedAtMs: ending?.endedAtMs ?? null,
  };
}
