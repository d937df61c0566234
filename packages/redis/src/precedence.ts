import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const script = new Script('deal_tags');

/** A tenant's batches: those that have precedence, first one first, and the others that may have jobs in a queue. */
export type TenantOrder = { readonly first: readonly string[]; readonly others: readonly string[] };

/**
 * Puts the batches that have precedence before the others of their tenant in a tier's queue, whoever came first. What is
 * added later stands at its own place again until this is called the next time. Answers how many jobs it moved. It reads
 * the whole queue.
 */
export async function dealTags(
  { client, keys }: RedisStore,
  tier: string,
  tenants: readonly TenantOrder[],
): Promise<number> {
  const flows = tenants.flatMap(({ first, others }) => [
    first.length,
    first.length + others.length,
    ...first,
    ...others,
  ]);
  const names = [keys.startTags(tier), `${keys.queue(tier)}:prioritized`];
  return (await script.run(client, names, [keys.jobs(tier), ...flows])) as number;
}
