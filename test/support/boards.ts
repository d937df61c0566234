import { admit, beginRecovery, finishRecovery, open, openBoard, type Board } from '@spillway/redis';
import { openLog } from '@spillway/runtime';
import type { RedisServer } from './redis.ts';

const silent = openLog('test', 'silent');

/** A client's view of the state in Redis under its own prefix, as every process has one. */
export function boardOn(redis: RedisServer, namespace: string): Promise<Board> {
  return openBoard({ address: redis.url, namespace, log: silent });
}

/** Marks Redis as recovered, as the leading dispatcher does when storage holds nothing. */
export async function markRecovered(board: Board): Promise<void> {
  await finishRecovery(board, await beginRecovery(board, 'test'));
}

/** A batch in work, open for results. */
export async function openBatch(board: Board, id: string, documents: number, pages: number): Promise<void> {
  await admit(board, id, { tenant: 'default', createdAtMs: 0, expiresAtMs: Number.MAX_SAFE_INTEGER });
  await open(board, id, { total: documents, pages, model: 'test', inProgressAtMs: 0 });
}
