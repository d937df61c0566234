import { EnvReader, openLog, openTelemetry } from '@spillway/runtime';
import { Queues } from '@spillway/redis';
import { openStorage, type Storage } from '@spillway/storage';
import { BatchRecords, Troubles, type Desk } from '../../services/dispatcher/src/desk.ts';
import { Hooks } from '../../services/dispatcher/src/hooks/hooks.ts';
import { boardOn } from './boards.ts';
import type { RedisServer } from './redis.ts';

const log = openLog('test', 'silent');

/** What a dispatcher works with, in the test's own process; `wrap` may hold up or break what storage answers. */
export async function deskOn(
  redis: RedisServer,
  namespace: string,
  directory: string,
  wrap: (storage: Storage) => Storage = (storage) => storage,
): Promise<Desk & AsyncDisposable> {
  const board = await boardOn(redis, namespace);
  const queues = new Queues(board);
  const storage = wrap(await openStorage(`file://${directory}`));
  const telemetry = await openTelemetry(new EnvReader({}), log);
  const troubles = new Troubles(telemetry.meters);
  return {
    board,
    queues,
    storage,
    records: new BatchRecords(storage),
    hooks: new Hooks([], { storage, troubles, log }),
    troubles,
    telemetry,
    limits: { lines: 1_000, lineBytes: 1_000_000 },
    log,
    [Symbol.asyncDispose]: async () => {
      await queues[Symbol.asyncDispose]();
      await board[Symbol.asyncDispose]();
    },
  };
}
