import { datedFindings, parseJson, type DatedFindings } from '@spillway/core';
import type { RedisStore } from './store.ts';

/** Findings are of the past sooner or later; every start of a worker makes new ones. */
const KEPT_MS = 30 * 86_400_000;

/** Writes what a check of a tier's model found, over what the one before it found. */
export async function writeFindings(redis: RedisStore, tier: string, findings: DatedFindings): Promise<void> {
  await redis.client.set(redis.keys.check(tier), JSON.stringify(findings), 'PX', KEPT_MS);
}

/** What the last checks of some tiers found, by their names; a tier that was not checked, or not in this form, lacks. */
export async function readFindings(
  redis: RedisStore,
  tiers: readonly string[],
): Promise<ReadonlyMap<string, DatedFindings>> {
  if (tiers.length === 0) return new Map();
  const texts = await redis.client.mget(tiers.map((tier) => redis.keys.check(tier)));
  return new Map(
    tiers.flatMap((tier, index): [string, DatedFindings][] => {
      const read = datedFindings.safeParse(parseJson(texts[index] ?? ''));
      return read.success ? [[tier, read.data]] : [];
    }),
  );
}
