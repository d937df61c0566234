import type { KeptKind } from '@spillway/core';
import type { RedisStore } from './store.ts';

/** Kept traces are counted for so long after the first: longer than any batch is open. */
const COUNTED_MS = 8 * 86_400_000;

/** Takes one of the `max` traces that a batch may keep of a kind; failed and slow ones share theirs. */
export async function takeTrace(redis: RedisStore, batch: string, kind: KeptKind, max: number): Promise<boolean> {
  const { client, keys } = redis;
  const taken = await client.hincrby(keys.traces(batch), kind === 'slow' ? 'failed' : kind, 1);
  if (taken === 1) await client.pexpire(keys.traces(batch), COUNTED_MS);
  return taken <= max;
}
