import type { RedisStore } from './store.ts';
import { Script } from './script.ts';

const renewScript = new Script('renew');
const releaseScript = new Script('release');

/** Takes or keeps the lease for `leaseMs`; true when this token holds it. Economy only: correctness does not rest on it. */
export async function renewLease(redis: RedisStore, token: string, leaseMs: number): Promise<boolean> {
  return (await renewScript.run(redis.client, [redis.keys.lease], [token, leaseMs])) === 1;
}

export async function releaseLease(redis: RedisStore, token: string): Promise<void> {
  await releaseScript.run(redis.client, [redis.keys.lease], [token]);
}
