import { KEYS } from '@spillway/core';
import type { RedisStore } from '@spillway/redis';
import { MAX_PROBE_MS, within, type Health, type Log } from '@spillway/runtime';
import type { RoomWatch, Storage } from '@spillway/storage';

export const live = (): Health => ({ ok: true, detail: 'live' });

/** What a probe asks. */
export type Probed = {
  readonly storage: Storage;
  readonly redis: RedisStore;
  readonly room: Pick<RoomWatch, 'isFull'>;
  readonly log: Log;
};

/**
 * Whether storage answers, without which nothing can be served. Without Redis the API stays in service: files and
 * batches are still read, and whatever needs Redis is refused with a time to come again, which nobody would learn from
 * an API that was taken out of service. With a full storage too: what stands is read, and deleting makes room.
 */
export async function ready({ storage, redis, room, log }: Probed): Promise<Health> {
  const [hasStorage, hasRedis] = await Promise.all([
    answers(log, 'storage', storage.list(KEYS.openMarks, { limit: 1 })),
    answers(log, 'Redis', redis.client.ping()),
  ]);
  const missing = [
    ...(hasStorage ? [] : ['storage does not answer']),
    ...(hasStorage && room.isFull ? ['storage is full: nothing can be written'] : []),
    ...(hasRedis ? [] : ['Redis does not answer']),
  ];
  return { ok: hasStorage, detail: missing.length === 0 ? 'ready' : missing.join(', ') };
}

async function answers(log: Log, name: string, answer: Promise<unknown>): Promise<boolean> {
  try {
    await within(MAX_PROBE_MS, answer);
    return true;
  } catch (error) {
    log.debug({ err: error }, `${name} does not answer`);
    return false;
  }
}
