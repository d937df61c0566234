import { Queues, type RedisStore } from '@spillway/redis';
import { EnvReader, openLog, openTelemetry, type Log, type Meters } from '@spillway/runtime';
import { openStorage, Records, type Storage } from '@spillway/storage';
import { AuditRecorder } from '../../services/dispatcher/src/audits.ts';
import { Calibrator } from '../../services/dispatcher/src/calibrate/calibrator.ts';
import { SampledResults } from '../../services/dispatcher/src/calibrate/sampled-results.ts';
import { Copier } from '../../services/dispatcher/src/copy.ts';
import { knownBy, type KnownResults } from '../../services/dispatcher/src/known-results.ts';
import { LiveBatches } from '../../services/dispatcher/src/live-batches.ts';
import { Outlines } from '../../services/dispatcher/src/outlines.ts';
import { RedecidedResults } from '../../services/dispatcher/src/redecided-results.ts';
import { StepFailures } from '../../services/dispatcher/src/step-failures.ts';
import { storeOn } from './stores.ts';
import type { RedisServer } from './redis.ts';

const log = openLog('test', 'silent');

/** What the parts of a dispatcher are given. */
export type DispatcherParts = AsyncDisposable & {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly storage: Storage;
  readonly records: Records;
  readonly live: LiveBatches;
  readonly outlines: Outlines;
  readonly failures: StepFailures;
  readonly copier: Copier;
  readonly calibrator: Calibrator;
  readonly known: KnownResults;
  readonly audits: AuditRecorder;
  readonly sampling: null;
  readonly meters: Meters;
  readonly log: Log;
};

/** The parts of a dispatcher in the test's own process; `wrap` may delay or damage what storage answers. */
export async function dispatcherParts(
  server: RedisServer,
  namespace: string,
  directory: string,
  wrap: (storage: Storage) => Storage = (storage) => storage,
): Promise<DispatcherParts> {
  const redis = await storeOn(server, namespace);
  const queues = new Queues(redis);
  const storage = wrap(await openStorage(`file://${directory}`));
  const { meters } = await openTelemetry('test', new EnvReader({}), log);
  const records = new Records(storage);
  const live = new LiveBatches(redis);
  const failures = new StepFailures({ meters, log, outage: redis.outage });
  const shared = { redis, queues, storage, records, live, failures, sampling: null, meters, log };
  const outlines = new Outlines(records);
  const room = { isFull: false };
  const webhooks = { tellPromiseAtRisk: async () => true };
  return {
    ...shared,
    copier: new Copier(shared),
    calibrator: new Calibrator(shared),
    known: knownBy(new SampledResults(shared), new RedecidedResults(shared)),
    outlines,
    audits: new AuditRecorder({ ...shared, outlines, room, webhooks }),
    [Symbol.asyncDispose]: async () => {
      await queues[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}
