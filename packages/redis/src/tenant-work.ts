import { scanBatches } from './batches.ts';
import { readSummaries, type BatchSummary } from './summaries.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const reserveScript = new Script('reserve_work');
const knowScript = new Script('know_work');
const dropScript = new Script('drop_work');

/**
 * A batch that its creator is about to make counts for so long without being in work; its creator keeps saying so. Longer
 * than a sweep takes to find a batch whose creator died behind the manifest.
 */
export const WORK_LEASE_MS = 60_000;

/** What is known of a tenant is read anew this often, so that nothing that was missed is missed for ever. */
const MAX_KNOWN_MS = 3_600_000;

/** A batch among its tenant's work. */
export type NotedBatch = {
  readonly id: string;
  /** Its turn: what came before it counts. Those that were found in work have 0. */
  readonly place: number;
  /** Until when it counts without being in work, by Redis' clock. */
  readonly leaseEndsMs: number;
  /** How many documents it has, as far as was known when it was noted. */
  readonly documents: number;
  /** As it stands in Redis. */
  readonly noted: string;
};

export type WorkReserved =
  | { readonly kind: 'RESERVED'; readonly place: number; readonly noted: string; readonly batches: number }
  | { readonly kind: 'UNKNOWN' | 'RECOVERING' };

/**
 * Notes a batch among its tenant's work before it is made. UNKNOWN: what the tenant has in work must be told first
 * (`knowWork`), as Redis never knew it, forgot it, or it is long ago.
 */
export async function reserveWork(
  { client, keys }: RedisStore,
  tenant: string,
  batch: { readonly id: string; readonly token: string; readonly documents: number },
): Promise<WorkReserved> {
  const args = [batch.id, batch.token, batch.documents, WORK_LEASE_MS, MAX_KNOWN_MS];
  const answer = await reserveScript.run(client, [keys.epoch, keys.work(tenant)], args);
  const [kind, place, noted, batches] = answer as [WorkReserved['kind'], number, string, number];
  return kind === 'RESERVED' ? { kind, place, noted, batches } : { kind };
}

/** Tells which batches a tenant has in work. */
export async function knowWork(
  { client, keys }: RedisStore,
  tenant: string,
  batches: readonly { readonly id: string; readonly documents: number }[],
): Promise<'KNOWN' | 'RECOVERING'> {
  const args = [MAX_KNOWN_MS, ...batches.flatMap(({ id, documents }) => [id, documents])];
  return (await knowScript.run(client, [keys.epoch, keys.work(tenant)], args)) as 'KNOWN' | 'RECOVERING';
}

/** Strikes batches off their tenant's work, unless they were noted anew since they were read. */
export async function dropWork(
  { client, keys }: RedisStore,
  tenant: string,
  batches: readonly Pick<NotedBatch, 'id' | 'noted'>[],
): Promise<void> {
  if (batches.length === 0) return;
  await dropScript.run(
    client,
    [keys.work(tenant)],
    batches.flatMap(({ id, noted }) => [id, noted]),
  );
}

/** All batches that are noted among a tenant's work. */
export async function readWork({ client, keys }: RedisStore, tenant: string): Promise<NotedBatch[]> {
  const hash = await client.hgetall(keys.work(tenant));
  return Object.entries(hash)
    .filter(([id]) => !id.startsWith('@'))
    .map(([id, noted]) => {
      const [place = 0, leaseEndsMs = 0, documents = 0] = noted.split(' ').map(Number);
      return { id, place, leaseEndsMs, documents, noted };
    });
}

/** The batches in work that are a tenant's, and how far each is. It asks for all of them, in slices. */
export async function batchesOf(redis: RedisStore, tenant: string): Promise<ReadonlyMap<string, BatchSummary>> {
  const own = new Map<string, BatchSummary>();
  let cursor = '0';
  do {
    const some = await scanBatches(redis, cursor);
    cursor = some.cursor;
    const summaries = await readSummaries(redis, some.ids);
    for (const [at, id] of some.ids.entries()) {
      const summary = summaries[at] ?? null;
      if (summary?.tenant === tenant) own.set(id, summary);
    }
  } while (cursor !== '0');
  return own;
}
