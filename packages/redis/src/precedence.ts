import { dealt, inRow, LIMITS } from '@spillway/core';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const standingScript = new Script('standing', 'taken_field', 'documents_of');
const dealScript = new Script('deal_tags', 'move_job');
const rowScript = new Script('stand_in_row', 'move_job');

/** Jobs that are read, and that are moved, in one go: some milliseconds of Redis' time, whatever else waits for it. */
const READ_AT_A_TIME = 1_000;
const MOVES_AT_A_TIME = 250;

/** A job's score in BullMQ's order is its priority, so many times, and a count for those of the same priority. */
const PRIORITY = 2 ** 32;

/** A tenant's batches: those that have precedence, first one first, and the others that may have jobs in a queue. */
export type TenantOrder = {
  readonly tenant: string;
  readonly first: readonly string[];
  readonly others: readonly string[];
};

/** A job that waits: whose it is, where it stands, and how many documents it has. */
type Waiting = {
  readonly id: string;
  readonly flow: string;
  readonly score: string;
  readonly documents: number;
};

/**
 * Deals the start tags of tenants anew in a tier's queue. First a tenant's jobs stand one behind the other, so that many
 * batches have no more of the tier together than one would have; then the batches that have precedence get the least of
 * these tags, whoever came first. Other tenants stay where they are. What is added later has its own place until this is
 * called the next time. Jobs that are taken meanwhile are left alone. Answers how many it moved.
 */
export async function dealTags(redis: RedisStore, tier: string, tenants: readonly TenantOrder[]): Promise<number> {
  const { present, taken, jobs } = await readJobs(redis, tier, tenants);
  const tenantOf = new Map(
    tenants.flatMap((tenant) => [...tenant.first, ...tenant.others].map((id) => [id, tenant] as const)),
  );
  let moved = 0;
  for (const [order, seen] of Map.groupBy(jobs, ({ flow }) => tenantOf.get(flow))) {
    if (order === undefined) continue;
    // What came back stands behind the present, and goes next where it is: a row from there on would be before everybody.
    const back = seen.findIndex(({ score }) => tagOf(score) > present);
    const ahead = back === -1 ? [] : seen.slice(back);
    const from = Math.max(present + 1, taken.get(order.tenant) ?? Number.POSITIVE_INFINITY);
    const [row, movedInRow] = await standInRow(redis, tier, { tenant: order.tenant, from }, ahead);
    const own = [...seen.slice(0, seen.length - ahead.length), ...row];
    const moves = dealt(own, order.first).map(({ job, to }) => [own[job]?.id, own[job]?.score, own[to]?.score]);
    moved += movedInRow + (await run(redis, tier, { script: dealScript, first: [], moves }));
  }
  return moved;
}

const tagOf = (score: string): number => Math.floor(Number(score) / PRIORITY);

/** Has a tenant's jobs stand one behind the other; answers where they stand then, and how many moved. */
async function standInRow(
  redis: RedisStore,
  tier: string,
  { tenant, from }: { readonly tenant: string; readonly from: number },
  own: readonly Waiting[],
): Promise<[readonly Waiting[], number]> {
  const row = inRow(
    own.map(({ score, documents }) => ({ tag: tagOf(score), documents })),
    from,
  );
  if (row === null) return [own, 0];
  const standing = own.map((job, at) => {
    const tag = Math.min(row[at] ?? 0, LIMITS.queuePriority);
    return { ...job, score: String(tag * PRIORITY + (Number(job.score) % PRIORITY)), last: tag + job.documents - 1 };
  });
  const moves = standing.flatMap(({ id, flow, score, last }, at) => {
    const seen = own[at]?.score ?? '';
    return seen === score ? [] : [[id, seen, score, flow, Math.min(last, LIMITS.queuePriority)]];
  });
  return [standing, await run(redis, tier, { script: rowScript, first: [tenant], moves })];
}

type Moves = {
  readonly script: Script;
  /** What the script wants to know besides the moves. */
  readonly first: readonly string[];
  readonly moves: readonly (readonly (string | number | undefined)[])[];
};

async function run({ client, keys }: RedisStore, tier: string, { script, first, moves }: Moves): Promise<number> {
  const names = [keys.startTags(tier), `${keys.queue(tier)}:prioritized`];
  let moved = 0;
  for (let from = 0; from < moves.length; from += MOVES_AT_A_TIME) {
    const some = moves.slice(from, from + MOVES_AT_A_TIME).flatMap((move) => move.map((part) => part ?? ''));
    moved += (await script.run(client, names, [keys.jobs(tier), ...first, ...some])) as number;
  }
  return moved;
}

/** What stands in a queue. */
type Standing = {
  /** The tag that was taken up last. */
  readonly present: number;
  /** Where what a tenant was given ends, as far as that is known. */
  readonly taken: ReadonlyMap<string, number>;
  /** Next one first. One that is added or taken while they are read may be missed. */
  readonly jobs: readonly Waiting[];
};

async function readJobs(
  { client, keys }: RedisStore,
  tier: string,
  tenants: readonly TenantOrder[],
): Promise<Standing> {
  const jobs = new Map<string, Waiting>();
  const taken = new Map<string, number>();
  for (let from = 0; ; from += READ_AT_A_TIME) {
    // Who was given how much is read with the first of them.
    const named = from === 0 ? tenants.map(({ tenant }) => tenant) : [];
    const args = [keys.jobs(tier), from, from + READ_AT_A_TIME - 1, ...named];
    const names = [keys.startTags(tier), `${keys.queue(tier)}:prioritized`];
    const found = (await standingScript.run(client, names, args)) as [number, ...(string | number)[]];
    const [present] = found;
    for (const [at, tenant] of named.entries()) {
      const end = found[1 + at] as number;
      if (end >= 0) taken.set(tenant, end);
    }
    const some = found.slice(1 + named.length);
    for (let at = 0; at < some.length; at += 3) {
      const [id, score, documents] = some.slice(at, at + 3) as [string, string, number];
      // Audits have their places behind what waited when they came.
      if (id.endsWith('a')) continue;
      // A job's id is its batch's, a hyphen, and what it has of that.
      jobs.set(id, { id, flow: id.slice(0, Math.max(0, id.lastIndexOf('-'))), score, documents });
    }
    if (some.length < 3 * READ_AT_A_TIME) return { present, taken, jobs: [...jobs.values()] };
  }
}
