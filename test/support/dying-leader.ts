import { LIMITS } from '@spillway/core';
import { EnvReader, openTelemetry } from '@spillway/runtime';
import { Records, type Storage } from '@spillway/storage';
import { AuditRecorder } from '../../services/dispatcher/src/audits.ts';
import { Calibrator } from '../../services/dispatcher/src/calibrate/calibrator.ts';
import { SampledResults } from '../../services/dispatcher/src/calibrate/sampled-results.ts';
import { Copier } from '../../services/dispatcher/src/copy.ts';
import { Ender } from '../../services/dispatcher/src/end.ts';
import { Enqueuer } from '../../services/dispatcher/src/enqueue.ts';
import { Finisher } from '../../services/dispatcher/src/finish.ts';
import { knownBy } from '../../services/dispatcher/src/known-results.ts';
import { LiveBatches } from '../../services/dispatcher/src/live-batches.ts';
import { Outlines } from '../../services/dispatcher/src/outlines.ts';
import { Precedence } from '../../services/dispatcher/src/precedence.ts';
import { sealFullPages } from '../../services/dispatcher/src/seal.ts';
import { RedecidedResults } from '../../services/dispatcher/src/redecided-results.ts';
import { StepFailures } from '../../services/dispatcher/src/step-failures.ts';
import { Sweep } from '../../services/dispatcher/src/sweep.ts';
import { Validator } from '../../services/dispatcher/src/validate.ts';
import type { DispatcherParts } from './dispatcher.ts';

const never = new AbortController().signal;

/** What a process does until its end: so many readings and writings. */
export class Life {
  left: number;

  constructor(left: number) {
    this.left = left;
  }

  /** The same thing, as long as the process lives. */
  of<Thing extends object>(thing: Thing): Thing {
    return new Proxy(thing, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]): unknown => {
          this.left -= 1;
          if (this.left < 0) return Promise.reject(new Error('this process is dead'));
          return Reflect.apply(value, target, given) as unknown;
        };
      },
    });
  }
}

/** A dispatcher that leads, a step at a time: those of every leader, and those of the test's own. */
export type Leader<Step extends string> = {
  readonly step: (name: Step) => Promise<void>;
  readonly live: LiveBatches;
};

type OwnSteps = 'validate' | 'calibrate' | 'enqueue' | 'copy' | 'seal' | 'sweep' | 'end';

/** A dispatcher that comes to lead, on the connections of others; `more`: steps of other processes. */
export async function leaderOf<More extends string>(
  base: DispatcherParts,
  life: Life,
  more: Readonly<Record<More, () => Promise<unknown>>>,
): Promise<Leader<OwnSteps | More>> {
  const { log, meters } = base;
  const client = life.of(base.redis.client);
  const store = { ...base.redis, client, scripts: { client, runId: '' } };
  const storage: Storage = life.of(base.storage);
  const records = new Records(storage);
  const live = new LiveBatches(store);
  const failures = new StepFailures({ meters, log, outage: base.redis.outage });
  const queues = life.of(base.queues);
  const shared = { redis: store, queues, storage, records, live, failures, sampling: null, spans: null, meters, log };
  const outlines = new Outlines(records);
  const copier = new Copier(shared);
  const calibrator = new Calibrator(shared);
  const known = knownBy(new SampledResults(shared), new RedecidedResults(shared));
  const telemetry = await openTelemetry('test', new EnvReader({}), log);
  const finisher = new Finisher({ redis: store, storage, webhooks: { mark: async () => undefined }, telemetry, log });
  const limits = { lines: LIMITS.batchLines, lineBytes: LIMITS.lineBytes };
  const webhooks = { tellPromiseAtRisk: async () => true };
  const audits = new AuditRecorder({ ...shared, outlines, room: { isFull: false }, webhooks });
  const parts = { ...shared, outlines, copier, calibrator, known, finisher, limits, audits };
  const options = { ...parts, precedence: new Precedence(parts) };
  const [validator, enqueuer, ender] = [new Validator(options), new Enqueuer(options), new Ender(options)];
  live.begin([outlines, validator, calibrator, enqueuer, copier, ender]);
  const sweep = new Sweep(options);
  const own: Record<OwnSteps, () => Promise<unknown>> = {
    validate: () => validator.validateSome(),
    calibrate: () => calibrator.calibrateSome(),
    enqueue: () => enqueuer.enqueueSome(),
    copy: () => copier.copySome(),
    seal: () => sealFullPages(options),
    sweep: () => sweep.sweepSome(never),
    end: () => ender.endSome(),
  };
  const steps: Readonly<Record<string, () => Promise<unknown>>> = { ...own, ...more };
  const step = async (name: string): Promise<void> => {
    live.noteGap();
    try {
      await live.refresh();
      await steps[name]?.();
    } catch (error) {
      if (life.left >= 0) throw error;
    }
  };
  return { step, live };
}
