import { KEYS } from '@spillway/core';
import { PROBE_LIMIT_MS, within, type Health } from '@spillway/runtime';
import type { Api } from './api.ts';

export const live = (): Health => ({ ok: true, detail: 'live' });

/**
 * Whether storage answers, without which nothing can be served. Without Redis files and batches are still read, and what
 * cannot be done says when to come again: taken out of service nobody could be told, so it is only mentioned.
 */
export async function ready(api: Api): Promise<Health> {
  const [storage, redis] = await Promise.all([
    answers(api, 'storage', api.storage.list(KEYS.openMarks, { limit: 1 })),
    answers(api, 'Redis', api.board.client.ping()),
  ]);
  const missing = [...(storage ? [] : ['storage does not answer']), ...(redis ? [] : ['Redis does not answer'])];
  return { ok: storage, detail: missing.length === 0 ? 'ready' : missing.join(', ') };
}

async function answers(api: Api, name: string, answer: Promise<unknown>): Promise<boolean> {
  try {
    await within(PROBE_LIMIT_MS, answer);
    return true;
  } catch (error) {
    api.log.debug({ err: error }, `${name} does not answer`);
    return false;
  }
}
