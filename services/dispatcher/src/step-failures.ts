import { backoffMs } from '@spillway/core';
import type { Outage } from '@spillway/redis';
import type { Log, Meters } from '@spillway/runtime';

/** Every step of the work for one batch. */
const STEPS = [
  'validate',
  'calibrate',
  'plan',
  'enqueue',
  'copy',
  'seal',
  'end',
  'sweep',
  'progress',
  'audit',
  'webhooks',
] as const;

/** A step of the work for one batch. */
export type Step = { readonly batch: string; readonly step: (typeof STEPS)[number] };

/** What is told of Redis by itself. */
type Explained = Pick<Outage, 'explains'>;

const BACKOFF = { firstMs: 500, maxMs: 30_000 };

const keyOf = ({ batch, step }: Step): string => `${step} ${batch}`;

/** The steps that failed for a batch. Each waits before it is repeated, longer with every failure in a row. */
export class StepFailures {
  readonly #waiting = new Map<string, { readonly failures: number; readonly untilMs: number }>();
  readonly #meters: Meters;
  readonly #log: Log;
  readonly #outage: Explained;

  constructor({ meters, log, outage }: { readonly meters: Meters; readonly log: Log; readonly outage: Explained }) {
    this.#meters = meters;
    this.#log = log;
    meters.begin(
      'cascade.step.failures',
      STEPS.map((step) => ({ step })),
    );
    this.#outage = outage;
  }

  /** Whether a step failed so short a time ago that it is not repeated yet. */
  isWaiting(step: Step): boolean {
    return (this.#waiting.get(keyOf(step))?.untilMs ?? 0) > performance.now();
  }

  /** That Redis is away is no failure of a step: it is repeated as soon as after a first one. */
  add(step: Step, error: unknown): void {
    const before = this.#waiting.get(keyOf(step))?.failures ?? 0;
    if (this.#outage.explains(error)) {
      this.#waiting.set(keyOf(step), { failures: before, untilMs: performance.now() + BACKOFF.firstMs });
      return;
    }
    const failures = before + 1;
    const againInMs = backoffMs(failures, Math.random(), BACKOFF);
    this.#waiting.set(keyOf(step), { failures, untilMs: performance.now() + againInMs });
    this.#meters.count('cascade.step.failures', 1, { step: step.step });
    this.#log.error({ ...step, againInMs, err: error }, 'a step failed for this batch and is repeated');
  }

  clear(step: Step): void {
    this.#waiting.delete(keyOf(step));
  }
}

/**
 * Runs a step for one batch so that its failure, such as a damaged record, stays with that batch. Null: it failed, or
 * failed so short a time ago that it was not run.
 */
export async function runStep<Done>(
  failures: StepFailures,
  step: Step,
  work: () => Promise<Done>,
): Promise<Done | null> {
  if (failures.isWaiting(step)) return null;
  try {
    const done = await work();
    failures.clear(step);
    return done;
  } catch (error) {
    failures.add(step, error);
    return null;
  }
}
