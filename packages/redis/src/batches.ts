import {
  cascadeRulesRecord,
  NO_COUNTS,
  readNotes,
  type CascadeRules,
  type Counts,
  type Outcome,
  type Phase,
  type Progress,
  type Steering,
} from '@spillway/core';
import { auditFields, AUDITS, auditsIn, type KeptAudits } from './audit-fields.ts';
import { steeringFields } from './control.ts';
import { countsIn } from './counts.ts';
import type { Recovery } from './epoch.ts';
import { pageMember } from './keys.ts';
import { NOTES } from './progress.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';
import { saidIn, warningsIn } from './words.ts';

const admitScript = new Script('admit');
const restoreScript = new Script('restore');
const recountScript = new Script('recount', 'counters');
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
  /** Documents that are answered from an equal one; null: none. */
  readonly copies?: number | null;
};

/** The rules of a batch's cascades, by the cascades' names: workers read them here, jobs do not carry them. */
export type BatchRules = Readonly<Record<string, CascadeRules>>;

const pairs = (facts: BatchFacts | ValidatedFacts): string[] =>
  Object.entries(facts).flatMap(([name, value]) => (value === null ? [] : [name, String(value)]));

/** Takes a new batch into work. */
export async function admit(
  redis: RedisStore,
  id: string,
  facts: BatchFacts & { readonly restored?: 1 },
): Promise<'ADMITTED' | 'ALREADY' | 'RECOVERING'> {
  const { keys, client } = redis;
  const answer = await admitScript.run(
    client,
    [keys.epoch, keys.batch(id), keys.batches],
    [id, keys.wake, ...pairs(facts)],
  );
  return answer as 'ADMITTED' | 'ALREADY' | 'RECOVERING';
}

/** Opens a validated batch for enqueueing and results. */
export async function open(
  redis: RedisStore,
  id: string,
  facts: ValidatedFacts,
  rules: BatchRules,
): Promise<'OPENED' | 'CLOSED' | 'RECOVERING'> {
  const { keys, client } = redis;
  const names = [keys.epoch, keys.batch(id), keys.rules(id)];
  const answer = await openScript.run(client, names, [JSON.stringify(rules), ...pairs(facts)]);
  return answer as 'OPENED' | 'CLOSED' | 'RECOVERING';
}

/** The rules of an open batch; null when Redis does not have them (any more). `known` are rules by the text that says them. */
export async function readRules(
  redis: RedisStore,
  id: string,
  known: Map<string, BatchRules> = new Map(),
): Promise<BatchRules | null> {
  const text = await redis.client.get(redis.keys.rules(id));
  if (text === null) return null;
  const rules = known.get(text) ?? cascadeRulesRecord.parse(JSON.parse(text));
  known.set(text, rules);
  return rules;
}

/** Whether Redis lost the rules of a batch, and nothing but them: no worker can tell what is to be done with its documents. */
export async function hasLostRules(redis: RedisStore, id: string): Promise<boolean> {
  if ((await redis.client.exists(redis.keys.rules(id))) === 1) return false;
  // Read last: they go with the batch.
  return (await readBatch(redis, id))?.phase === 'open';
}

export type Closed =
  | { readonly kind: 'CLOSED' | 'ALREADY'; readonly outcome: Outcome; readonly closedAtMs: number }
  | { readonly kind: 'REFUSED' | 'GONE' | 'RECOVERING' };

/** Ends a batch, by compare-and-set: `completed` only when all is settled or sealed, `failed` only while validating. */
export async function close(redis: RedisStore, id: string, outcome: Outcome): Promise<Closed> {
  const { keys, client } = redis;
  const answer = await closeScript.run(client, [keys.epoch, keys.batch(id)], [outcome, keys.closed, keys.wake, id]);
  const [kind, was, at] = answer as [Closed['kind'], Outcome, string];
  return kind === 'CLOSED' || kind === 'ALREADY' ? { kind, outcome: was, closedAtMs: Number(at) } : { kind };
}

/** A batch as storage knows it. */
export type StoredBatch = BatchFacts & {
  readonly validated: (ValidatedFacts & { readonly rules: BatchRules } & Partial<KeptAudits>) | null;
  readonly ending: { readonly outcome: Outcome; readonly endedAtMs: number } | null;
  /** What somebody wants of it; null: nobody said. */
  readonly steering?: Steering | null;
};

/** Puts a batch back during a recovery; its sealed pages follow one by one. STALE: the recovery is no longer this one. */
export async function restore(
  redis: RedisStore,
  recovery: Recovery,
  id: string,
  stored: StoredBatch,
): Promise<'RESTORED' | 'STALE'> {
  const { keys, client } = redis;
  const { tenant, createdAtMs, expiresAtMs, validated, ending, steering = null } = stored;
  const phase: Phase = ending !== null ? 'closed' : validated !== null ? 'open' : 'validating';
  const { rules = null, audits = {}, tightened = null, ...known } = validated ?? {};
  const facts = pairs({ tenant, createdAtMs, expiresAtMs, ...(known as Partial<ValidatedFacts>) });
  const args = [
    recovery.token,
    id,
    phase,
    ending?.outcome ?? '',
    ending?.endedAtMs ?? '',
    rules === null ? '' : JSON.stringify(tightened?.rules ?? rules),
    ...auditFields({ audits, tightened }),
    ...(steering === null ? [] : steeringFields(steering)),
    ...facts,
  ];
  const names = [keys.recovery, keys.batch(id), keys.batches, keys.rules(id)];
  return (await restoreScript.run(client, names, args)) as 'RESTORED' | 'STALE';
}

/** Takes a batch out of work that a recovery cannot read, with its open pages, so that it can be recovered whole later. */
export async function leaveOut(
  redis: RedisStore,
  recovery: Recovery,
  id: string,
  openPages: readonly number[],
): Promise<'LEFT_OUT' | 'STALE'> {
  const { keys, client } = redis;
  const pages = openPages.flatMap((page) => [keys.page(id, page), keys.times(id, page)]);
  const answer = await leaveOutScript.run(
    client,
    [keys.recovery, keys.batches, keys.inFlight, keys.full, keys.batch(id), keys.sealed(id), keys.rules(id), ...pages],
    [recovery.token, id, ...openPages.map((page) => pageMember(id, page))],
  );
  return answer as 'LEFT_OUT' | 'STALE';
}

/**
 * Counts a batch anew during a recovery, from what its pages in storage (`sums`) and the open ones say: whatever Redis
 * still had of its counters, the end is reached when every document is settled. SEALED_MEANWHILE: more pages stand in
 * storage than `sealed` knows.
 */
export async function recount(
  redis: RedisStore,
  recovery: Recovery,
  id: string,
  sealed: { readonly pages: number; readonly sums: Counts; readonly open: readonly number[] },
): Promise<'RECOUNTED' | 'SEALED_MEANWHILE' | 'STALE'> {
  const { keys, client } = redis;
  const names = [keys.recovery, keys.batch(id), keys.sealed(id), ...sealed.open.map((page) => keys.page(id, page))];
  const args = [recovery.token, sealed.pages, ...Object.entries({ ...NO_COUNTS, ...sealed.sums }).flat()];
  return (await recountScript.run(client, names, args)) as 'RECOUNTED' | 'SEALED_MEANWHILE' | 'STALE';
}

/** Everything Redis knows of a batch, or null. */
export type BatchState = Progress &
  BatchFacts & {
    /** Nothing of it is asked. */
    readonly paused: boolean;
    /** It goes before the others of its tenant. */
    readonly goesFirst: boolean;
    /** It was put back from storage: whoever had it before may have ended it since it was read there. */
    readonly isRestored: boolean;
  };

export async function readBatch(redis: RedisStore, id: string): Promise<BatchState | null> {
  const hash = await redis.client.hgetall(redis.keys.batch(id));
  if (hash['phase'] === undefined) return null;
  const number = (name: string): number => Number(hash[name] ?? 0);
  const time = (name: string): number | null => (hash[name] === undefined ? null : Number(hash[name]));
  return {
    phase: hash['phase'] as Phase,
    outcome: (hash['outcome'] as Outcome | undefined) ?? null,
    isRestored: hash['restored'] !== undefined,
    paused: hash['paused'] === '1',
    goesFirst: hash['goesFirst'] === '1',
    tenant: hash['tenant'] ?? '',
    createdAtMs: number('createdAtMs'),
    expiresAtMs: number('expiresAtMs'),
    total: number('total'),
    copies: number('copies'),
    model: hash['model'] ?? null,
    enqueued: number('enqueued'),
    pages: number('pages'),
    sealedPages: number('sealedPages'),
    counts: countsIn(hash),
    audits: auditsIn(hash[AUDITS]),
    said: saidIn(hash),
    warnings: warningsIn(hash),
    notes: readNotes(hash[NOTES]),
    inProgressAtMs: time('inProgressAtMs'),
    closedAtMs: time('closedAtMs'),
  };
}

/** The ids of all batches in work. */
export function liveBatches(redis: RedisStore): Promise<string[]> {
  return redis.client.smembers(redis.keys.batches);
}

/** Ids are scanned by about so many. */
const IDS_AT_A_TIME = 1_000;

/**
 * Some of the batches in work, and the cursor of those after them: '0' at the beginning, and after the last. Each that is
 * in work all the while is among them once at least.
 */
export async function scanBatches(redis: RedisStore, cursor: string): Promise<{ cursor: string; ids: string[] }> {
  const [next, ids] = await redis.client.sscan(redis.keys.batches, cursor, 'COUNT', IDS_AT_A_TIME);
  return { cursor: next, ids };
}

/** Drops all that Redis holds of a batch, its jobs excepted: workers drop those when they meet them. */
export async function forget(redis: RedisStore, id: string): Promise<void> {
  const { keys, client } = redis;
  await Promise.all([
    client.del(keys.batch(id), keys.sealed(id), keys.traces(id), keys.rules(id), keys.outcomes(id)),
    client.srem(keys.batches, id),
    client.srem(keys.audited, id),
  ]);
}
