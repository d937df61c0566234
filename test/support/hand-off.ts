import { jobIdOf, type DocumentJob } from '@spillway/core';
import type { HandOffOptions, HeldJob, Queues, RedisStore } from '@spillway/redis';

/** A job of a queue that a worker has, with the token `own`. */
export async function holdJob({ client, keys }: RedisStore, tier: string, id: string): Promise<HeldJob> {
  await client.set(`${keys.jobs(tier)}${id}:lock`, 'own');
  return { tier, id, token: 'own' };
}

/** How documents of one stage's job are handed off that a worker has, and nobody had before. */
export async function handingOff(
  {
    store,
    queues,
    tier = 'drafter.small',
  }: { readonly store: RedisStore; readonly queues: Queues; readonly tier?: string },
  documents: readonly DocumentJob[],
  options: Partial<HandOffOptions> = {},
): Promise<HandOffOptions> {
  const [{ batch, document } = { batch: '', document: 0 }] = documents;
  await queues.add(tier, documents, () => 1, { size: documents.length });
  const held = await holdJob(store, tier, documents.length > 1 ? `${batch}-${document}b` : jobIdOf(batch, document));
  const field = 'data';
  return {
    from: { held, field },
    isAgain: false,
    onWritten: () => undefined,
    onUnjudged: () => undefined,
    ...options,
  };
}
