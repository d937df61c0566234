import type { RedisStore } from './store.ts';

/** The tiers of which no more can be enqueued now, since when and why. */
export type Shortage = Readonly<Record<string, { readonly sinceMs: number; readonly reason: string }>>;

/** The leading dispatcher says it again more often; what a leader said that is gone does not stay. */
const KEPT_MS = 15_000;

/** A tier, since when, and why; no tier's name holds a blank. */
const LINE = /^(\S+) (\d+) (.*)$/;

/** Says of which tiers no more can be enqueued now. */
export async function writeShortage({ client, keys }: RedisStore, tiers: Shortage): Promise<void> {
  const lines = Object.entries(tiers).map(([tier, { sinceMs, reason }]) => `${tier} ${sinceMs} ${reason}`);
  if (lines.length === 0) await client.del(keys.shortage);
  else await client.set(keys.shortage, lines.join('\n'), 'PX', KEPT_MS);
}

export async function readShortage({ client, keys }: RedisStore): Promise<Shortage> {
  const text = (await client.get(keys.shortage)) ?? '';
  const known = text.split('\n').flatMap((line) => {
    const [, tier, sinceMs, reason = ''] = LINE.exec(line) ?? [];
    return tier === undefined ? [] : [[tier, { sinceMs: Number(sinceMs), reason }] as const];
  });
  return Object.fromEntries(known);
}
