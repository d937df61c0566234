import { openRedis, readBatch } from '@spillway/redis';
import { openLog, type Env } from '@spillway/runtime';
import type { ReadSnapshot } from './batch-lines.ts';

/** How far batches are, as Redis knows it: a key of the API is not needed for that. */
export async function openSnapshots(
  address: string,
  env: Env,
): Promise<AsyncDisposable & { readonly read: ReadSnapshot }> {
  const namespace = env['SPILLWAY_NAMESPACE'] || 'spillway';
  const redis = await openRedis({ address, namespace, log: openLog('start', 'silent') });
  const read: ReadSnapshot = async (id) => {
    const state = await readBatch(redis, id);
    if (state === null) return null;
    const { completed, failed, accepted, escalated } = state.counts;
    return {
      atMs: performance.now(),
      status: 'in_progress',
      total: state.total,
      done: completed + failed,
      split: { accepted, escalated },
    };
  };
  return { read, [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose]() };
}
