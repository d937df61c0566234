import type { Outcome, Phase, Progress } from '@spillway/core';
import { ALARMS } from './audit-fields.ts';
import type { BatchFacts } from './batches.ts';
import type { RedisStore } from './store.ts';

/** How far a batch is: what says which work it waits for. */
export type BatchSummary = BatchFacts &
  Pick<Progress, 'phase' | 'outcome' | 'total' | 'enqueued' | 'pages' | 'sealedPages'> & {
    readonly settled: number;
    /** Of the settled documents those whose first draft was not final. */
    readonly escalated: number;
    /** Those that are answered copies, and those whose answers are known from another batch. */
    readonly copied: number;
    readonly kept: number;
    /** Cascades of which the audit has alarmed. */
    readonly alarms: number;
    readonly paused: boolean;
    readonly goesFirst: boolean;
  };

const SUMMARY = [
  'phase',
  'outcome',
  'tenant',
  'createdAtMs',
  'expiresAtMs',
  'total',
  'enqueued',
  'pages',
  'sealedPages',
  'completed',
  'failed',
  'escalated',
  'copied',
  'kept',
  ALARMS,
  'paused',
  'goesFirst',
];

/** How far some batches are; null where Redis does not know one. */
export function readSummaries(redis: RedisStore, ids: readonly string[]): Promise<(BatchSummary | null)[]> {
  const { client, keys } = redis;
  return Promise.all(ids.map(async (id) => summaryIn(await client.hmget(keys.batch(id), ...SUMMARY))));
}

function summaryIn(values: readonly (string | null)[]): BatchSummary | null {
  const [phase, outcome = null, tenant, ...numbers] = values;
  if (phase == null) return null;
  const number = (at: number): number => Number(numbers[at] ?? 0);
  return {
    phase: phase as Phase,
    outcome: outcome as Outcome | null,
    tenant: tenant ?? '',
    createdAtMs: number(0),
    expiresAtMs: number(1),
    total: number(2),
    enqueued: number(3),
    pages: number(4),
    sealedPages: number(5),
    settled: number(6) + number(7),
    escalated: number(8),
    copied: number(9),
    kept: number(10),
    alarms: number(11),
    paused: number(12) === 1,
    goesFirst: number(13) === 1,
  };
}
