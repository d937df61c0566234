import { KEYS } from '@spillway/core';
import type { Health } from '@spillway/runtime';
import type { Api } from './api.ts';
import { within } from './deadline.ts';

/** A probe is asked every few seconds; an answer that takes longer is none. */
const PROBE_LIMIT_MS = 2_000;

export const live = (): Health => ({ ok: true, detail: 'live' });

/** Whether Redis and storage answer. That storage is create-only was proved before the process began to listen. */
export async function ready(api: Api): Promise<Health> {
  const asked: [string, Promise<unknown>][] = [
    ['Redis', api.board.client.ping()],
    ['storage', api.storage.list(KEYS.openMarks, { limit: 1 })],
  ];
  const failures = await Promise.all(
    asked.map(async ([name, answer]) => {
      try {
        await within(PROBE_LIMIT_MS, answer);
        return [];
      } catch (error) {
        api.log.debug({ err: error }, `${name} does not answer`);
        return [`${name} does not answer`];
      }
    }),
  );
  const detail = failures.flat().join(', ');
  return { ok: detail === '', detail: detail === '' ? 'ready' : detail };
}
