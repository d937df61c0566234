import { isRecovering, readBatch, type BatchState, type RedisStore } from '@spillway/redis';
import { LateError, within, type Log } from '@spillway/runtime';
import { ApiError, unavailable } from '../errors.ts';

/** After this a poll shows what storage knows, rather than wait longer for Redis. */
const MAX_READ_MS = 2_000;

/** Redis, and where it is noted that it does not answer. */
export type LoggedRedis = { readonly redis: RedisStore; readonly log: Log };

/** What Redis says of a batch; `lost` when it lost its memory and has not got it back, `unknown` when it does not answer. */
export type Live =
  | { readonly kind: 'live'; readonly state: BatchState }
  | { readonly kind: 'absent' | 'lost' | 'unknown' };

export async function readLive({ redis, log }: LoggedRedis, id: string): Promise<Live> {
  try {
    const reading = Promise.all([readBatch(redis, id), isRecovering(redis)]);
    const [state, isLost] = await within(MAX_READ_MS, reading);
    if (isLost) return { kind: 'lost' };
    return state === null ? { kind: 'absent' } : { kind: 'live', state };
  } catch (error) {
    log.debug({ err: error, batch: id }, 'a batch is shown as storage knows it: Redis does not answer');
    return { kind: 'unknown' };
  }
}

/** Asks Redis for something that cannot be done without it: its failure is a 503. An ApiError passes as it is. */
export async function askRedis<Answer>(
  { redis, log }: LoggedRedis,
  ask: (redis: RedisStore) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask(redis);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    void noteFailure({ redis, log }, error);
    throw unavailable('The work in flight cannot be reached. Try again in a moment.');
  }
}

/** A Redis that is away is told of by itself; nobody who waits for an answer waits for this. */
async function noteFailure({ redis, log }: LoggedRedis, error: unknown): Promise<void> {
  const { outage } = redis;
  const isAway = error instanceof LateError ? (await outage.suspect(error.message)) === 'away' : outage.explains(error);
  if (!isAway) log.warn({ err: error }, 'Redis does not do what it is asked');
}

export const recovering = (): Error => unavailable('The service is recovering its work. Try again in a moment.');
