import { COUNTERS, type Counts, type Outcome, type Phase, type Progress } from '@spillway/core';
import type { Board } from './board.ts';
import type { Recovery } from './epoch.ts';
import { pageMember } from './keys.ts';
import { pagesInHand } from './pages.ts';
import { Script } from './script.ts';

const admitScript = new Script('admit');
const restoreScript = new Script('restore');
const recountScript = new Script('recount');
const leaveOutScript = new Script('leave_out');
const openScript = new Script('open');
const closeScript = new Script('close');

/** What is known of a batch from its manifest on. */
export type BatchFacts = { readonly tenant: string; readonly createdAtMs: number; readonly expiresAtMs: number };

/** What is known of a batch from its validation on. */
export type ValidatedFacts = {
  readonly total: number;
  readonly pages: number;
  readonly model: string | null;
  readonly inProgressAtMs: number;
};

const pairs = (facts: BatchFacts | ValidatedFacts): string[] =>
  Object.entries(facts).flatMap(([name, value]) => (value === null ? [] : [name, String(value)]));

/** Takes a new batch into work. */
export async function admit(
  board: Board,
  id: string,
  facts: BatchFacts,
): Promise<'ADMITTED' | 'ALREADY' | 'RECOVERING'> {
  const { keys, client } = board;
  const answer = await admitScript.run(
    client,
    [keys.epoch, keys.batch(id), keys.batches],
    [id, keys.wake, ...pairs(facts)],
  );
  return answer as 'ADMITTED' | 'ALREADY' | 'RECOVERING';
}

/** Opens a validated batch for feeding and results. */
export async function open(
  board: Board,
  id: string,
  facts: ValidatedFacts,
): Promise<'OPENED' | 'CLOSED' | 'RECOVERING'> {
  const { keys, client } = board;
  const answer = await openScript.run(client, [keys.epoch, keys.batch(id)], pairs(facts));
  return answer as 'OPENED' | 'CLOSED' | 'RECOVERING';
}

export type Closed =
  | { readonly kind: 'CLOSED' | 'ALREADY'; readonly outcome: Outcome; readonly closedAtMs: number }
  | { readonly kind: 'REFUSED' | 'GONE' | 'RECOVERING' };

/** Ends a batch, by compare-and-set: `completed` only when all is settled, `failed` only while validating. */
export async function close(board: Board, id: string, outcome: Outcome): Promise<Closed> {
  const { keys, client } = board;
  const answer = await closeScript.run(client, [keys.epoch, keys.batch(id)], [outcome, keys.closed, keys.wake, id]);
  const [kind, was, at] = answer as [Closed['kind'], Outcome, string];
  return kind === 'CLOSED' || kind === 'ALREADY' ? { kind, outcome: was, closedAtMs: Number(at) } : { kind };
}

/** A batch as storage knows it. */
export type StoredBatch = BatchFacts & {
  readonly validated: ValidatedFacts | null;
  readonly ending: { readonly outcome: Outcome; readonly endedAtMs: number } | null;
};

/** Puts a batch back during a recovery; its sealed pages follow one by one. STALE: the recovery is no longer this one. */
export async function restore(
  board: Board,
  recovery: Recovery,
  id: string,
  stored: StoredBatch,
): Promise<'RESTORED' | 'STALE'> {
  const { keys, client } = board;
  const phase: Phase = stored.ending !== null ? 'closed' : stored.validated !== null ? 'open' : 'validating';
  const { tenant, createdAtMs, expiresAtMs } = stored;
  const facts = [...pairs({ tenant, createdAtMs, expiresAtMs }), ...(stored.validated ? pairs(stored.validated) : [])];
  const ending = [stored.ending?.outcome ?? '', stored.ending?.endedAtMs ?? ''];
  const names = [keys.recovery, keys.batch(id), keys.batches];
  const answer = await restoreScript.run(client, names, [recovery.token, id, phase, ...ending, ...facts]);
  return answer as 'RESTORED' | 'STALE';
}

/** Takes a batch out of work that a recovery cannot read, with its open pages, so that it can be recovered whole later. */
export async function leaveOut(board: Board, recovery: Recovery, id: string): Promise<'LEFT_OUT' | 'STALE'> {
  const { keys, client } = board;
  const held = (await pagesInHand(board)).filter(({ batch }) => batch === id);
  const pages = held.flatMap(({ page }) => [keys.page(id, page), keys.times(id, page)]);
  const answer = await leaveOutScript.run(
    client,
    [keys.recovery, keys.batches, keys.inHand, keys.full, keys.batch(id), keys.sealed(id), ...pages],
    [recovery.token, id, ...held.map(({ page }) => pageMember(id, page))],
  );
  return answer as 'LEFT_OUT' | 'STALE';
}

/**
 * Counts a batch anew during a recovery, from what its pages in storage (`sums`) and those in hand say: whatever Redis
 * still had of its counters, the end is reached when every document is settled.
 */
export async function recount(
  board: Board,
  recovery: Recovery,
  id: string,
  sealed: { readonly pages: number; readonly sums: Counts },
): Promise<'RECOUNTED' | 'STALE'> {
  const { keys, client } = board;
  const held = (await pagesInHand(board)).filter(({ batch }) => batch === id);
  const sums = COUNTERS.flatMap((name) => [name, sealed.sums[name]]);
  const names = [keys.recovery, keys.batch(id), ...held.map(({ page }) => keys.page(id, page))];
  return (await recountScript.run(client, names, [recovery.token, sealed.pages, ...sums])) as 'RECOUNTED' | 'STALE';
}

/** Everything Redis knows of a batch, or null. */
export type BatchState = Progress & BatchFacts;

export async function readBatch(board: Board, id: string): Promise<BatchState | null> {
  const hash = await board.client.hgetall(board.keys.batch(id));
  if (hash['phase'] === undefined) return null;
  const number = (name: string): number => Number(hash[name] ?? 0);
  const time = (name: string): number | null => (hash[name] === undefined ? null : Number(hash[name]));
  return {
    phase: hash['phase'] as Phase,
    outcome: (hash['outcome'] as Outcome | undefined) ?? null,
    tenant: hash['tenant'] ?? '',
    createdAtMs: number('createdAtMs'),
    expiresAtMs: number('expiresAtMs'),
    total: number('total'),
    model: hash['model'] ?? null,
    fed: number('fed'),
    pages: number('pages'),
    sealedPages: number('sealedPages'),
    counts: Object.fromEntries(COUNTERS.map((name) => [name, number(name)])) as Counts,
    inProgressAtMs: time('inProgressAtMs'),
    closedAtMs: time('closedAtMs'),
  };
}

/** The ids of all batches in work. */
export function liveBatches(board: Board): Promise<string[]> {
  return board.client.smembers(board.keys.batches);
}

/** Drops all that Redis holds of a batch, its jobs excepted: workers drop those when they meet them. */
export async function forget(board: Board, id: string, queues: readonly string[]): Promise<void> {
  const { keys, client } = board;
  const turns = queues.map((queue) => client.hdel(keys.turns(queue), id));
  await Promise.all([
    client.del(keys.batch(id), keys.sealed(id), keys.traces(id)),
    client.srem(keys.batches, id),
    ...turns,
  ]);
}
