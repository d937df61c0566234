import { isRecovering, readBatch, type BatchState, type Board } from '@spillway/redis';
import { within } from '@spillway/runtime';
import type { Api } from '../api.ts';
import { ApiError, unavailable } from '../errors.ts';

/** A poll rather shows what storage knows than waits longer for Redis. */
const READ_LIMIT_MS = 2_000;

/** What Redis says of a batch; `unknown` when it does not answer or lost its memory. */
export type Live = { readonly kind: 'live'; readonly state: BatchState } | { readonly kind: 'absent' | 'unknown' };

export async function readLive(api: Api, id: string): Promise<Live> {
  try {
    const [state, recovering] = await within(
      READ_LIMIT_MS,
      Promise.all([readBatch(api.board, id), isRecovering(api.board)]),
    );
    if (recovering) return { kind: 'unknown' };
    return state === null ? { kind: 'absent' } : { kind: 'live', state };
  } catch (error) {
    api.log.debug({ err: error, batch: id }, 'a batch is shown as storage knows it: Redis does not answer');
    return { kind: 'unknown' };
  }
}

/** Asks Redis for something that cannot be done without it. What is an answer to the client already stays it. */
export async function askRedis<Answer>(api: Api, ask: (board: Board) => Promise<Answer>): Promise<Answer> {
  try {
    return await ask(api.board);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    api.log.warn({ err: error }, 'Redis does not answer');
    throw unavailable('The work in hand cannot be reached. Try again in a moment.');
  }
}

export const recovering = (): Error => unavailable('The service is recovering its work. Try again in a moment.');
