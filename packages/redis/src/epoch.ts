import { infoOf, type RedisStore } from './store.ts';
import { Script } from './script.ts';

const beginScript = new Script('begin_recovery');
const recoveredScript = new Script('recovered');

/** Longer than reading the records of a hundred thousand batches takes; a dead leader's token goes by itself. */
const MAX_RECOVERY_MS = 3_600_000;

/** Raised when what stands in Redis changes; the scripts compare it too (lua/epoch.lua). */
const STATE_VERSION = 2;

/** A recovery going on; only the newest may restore and finish. */
export type Recovery = { readonly token: string; readonly epoch: string };

/** Whether Redis lost its memory since the last recovery: then storage is read again before anything is written. */
export async function isRecovering(redis: RedisStore): Promise<boolean> {
  const [known, epoch] = await Promise.all([redis.client.get(redis.keys.epoch), epochOf(redis)]);
  return known !== epoch;
}

/**
 * Begins a recovery; one that another dispatcher began can no longer write. Null: another one finished since, and
 * documents are settled again.
 */
export async function beginRecovery(redis: RedisStore, token: string): Promise<Recovery | null> {
  const { keys, client } = redis;
  const epoch = await epochOf(redis);
  const answer = await beginScript.run(client, [keys.epoch, keys.recovery], [token, MAX_RECOVERY_MS]);
  return answer === 'BEGUN' ? { token, epoch } : null;
}

/** Ends a recovery; false when Redis was lost once more meanwhile, or another recovery took over. */
export async function finishRecovery(redis: RedisStore, recovery: Recovery): Promise<boolean> {
  const { keys, client } = redis;
  const answer = await recoveredScript.run(client, [keys.recovery, keys.epoch], [recovery.token, recovery.epoch]);
  return answer === 'RECOVERED';
}

/** Makes Redis count as lost: the next recovery reads storage again. What it holds stays in use. */
export async function distrust(redis: RedisStore): Promise<void> {
  await redis.client.del(redis.keys.epoch);
}

/** Redis' own id, new with every start of it, and the version of what this process keeps there. */
async function epochOf(redis: RedisStore): Promise<string> {
  return `${(await infoOf(redis, 'server')).get('run_id') ?? ''}.${STATE_VERSION}`;
}
