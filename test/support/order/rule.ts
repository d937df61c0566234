import { precedenceOf, workLeft, type DueBatch } from '@spillway/core';
import type { Mix } from './mixes.ts';
import type { BatchProgress, Decide } from './simulation.ts';

/** What the dispatcher knows of a batch: how much is enqueued and settled, and how much of all waits in each queue. */
const dueBatch = (
  { index, batch, enqueued, drafted, escalated, answered }: BatchProgress,
  depths: Depths,
): DueBatch => ({
  id: String(index),
  tenant: batch.tenant,
  deadlineMs: batch.deadlineS * 1_000,
  work: workLeft(
    { total: batch.documents, enqueued, settled: drafted - escalated + answered, escalated: answered },
    { tiers: ['drafter', 'expert'], firstTiers: ['drafter'] },
    depths,
  ),
});

type Depths = ReadonlyMap<string, number>;

/** The product's rule, as it decides in a mix by what is known so far. */
export function ruleOf({ perSecond }: Mix): Decide {
  const rates = new Map(Object.entries(perSecond));
  return (live, nowS) => {
    const depths = new Map([
      ['drafter', live.reduce((sum, { enqueued, drafted }) => sum + enqueued - drafted, 0)],
      ['expert', live.reduce((sum, { escalated, answered }) => sum + escalated - answered, 0)],
    ]);
    const due = live.map((one) => dueBatch(one, depths));
    const precedence = precedenceOf(due, rates, nowS * 1_000);
    return new Map([...precedence].map(([tenant, ids]) => [tenant, ids.map(Number)]));
  };
}
