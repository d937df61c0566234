import { dealt } from '@spillway/core';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const script = new Script('deal_tags');

/** Jobs that are read, and that are moved, in one go: some milliseconds of Redis' time, whatever else waits for it. */
const READ_AT_A_TIME = 1_000;
const MOVES_AT_A_TIME = 250;

/** A tenant's batches: those that have precedence, first one first, and the others that may have jobs in a queue. */
export type TenantOrder = { readonly first: readonly string[]; readonly others: readonly string[] };

/** A job that waits; `score` is its priority and, below that, BullMQ's order among those of the same priority. */
type Waiting = { readonly id: string; readonly flow: string; readonly score: string };

/**
 * Puts the batches that have precedence before the others of their tenant in a tier's queue, whoever came first: they get
 * the least of the tenant's start tags. These stay the tenant's, so that what others have coming stays as it is. What is
 * added later has its own place until this is called the next time. Jobs that are taken meanwhile are left alone. Answers
 * how many it moved.
 */
export async function dealTags(redis: RedisStore, tier: string, tenants: readonly TenantOrder[]): Promise<number> {
  const jobs = await readJobs(redis, tier);
  const tenantOf = new Map(
    tenants.flatMap((tenant) => [...tenant.first, ...tenant.others].map((id) => [id, tenant] as const)),
  );
  const moves = [...Map.groupBy(jobs, ({ flow }) => tenantOf.get(flow))].flatMap(([tenant, own]) =>
    tenant === undefined
      ? []
      : dealt(own, tenant.first).map(({ job, to }) => [own[job]?.id, own[job]?.score, own[to]?.score] as const),
  );
  const { client, keys } = redis;
  const names = [keys.startTags(tier), `${keys.queue(tier)}:prioritized`];
  let moved = 0;
  for (let from = 0; from < moves.length; from += MOVES_AT_A_TIME) {
    const some = moves.slice(from, from + MOVES_AT_A_TIME).flatMap((move) => move.map((part) => part ?? ''));
    moved += (await script.run(client, names, [keys.jobs(tier), ...some])) as number;
  }
  return moved;
}

/** The jobs of a queue that wait, next one first. One that is added or taken meanwhile may be missed. */
async function readJobs({ client, keys }: RedisStore, tier: string): Promise<Waiting[]> {
  const jobs = new Map<string, Waiting>();
  for (let from = 0; ; from += READ_AT_A_TIME) {
    const to = from + READ_AT_A_TIME - 1;
    const some = await client.zrange(`${keys.queue(tier)}:prioritized`, String(from), String(to), 'WITHSCORES');
    for (let at = 0; at < some.length; at += 2) {
      const [id = '', score = ''] = some.slice(at, at + 2);
      // Audits have their places behind what waited when they came.
      if (id.endsWith('a')) continue;
      // A job's id is its batch's, a hyphen, and what it has of that.
      jobs.set(id, { id, flow: id.slice(0, Math.max(0, id.lastIndexOf('-'))), score });
    }
    if (some.length < 2 * READ_AT_A_TIME) return [...jobs.values()];
  }
}
