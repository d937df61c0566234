import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { keepEvidence } from './evidence.ts';
import { Fleet } from './fleet.ts';
import { Run, type Outcome } from './run.ts';
import { scheduleOf, withoutKinds, type Schedule } from './schedule.ts';

/** Starting a fleet takes as long as a schedule; after so many of them its processes have shown what they do with time. */
const SCHEDULES_PER_FLEET = 25;

export type SeedOptions = {
  /** How many systems run beside each other. */
  readonly jobs: number;
  /** Kinds of faults and documents that are left out. */
  readonly without: ReadonlySet<string>;
  /** Aborted: no other schedule begins. */
  readonly signal: AbortSignal;
  /** Where evidence is kept. */
  readonly folder: string;
  readonly report: (outcome: Outcome) => Promise<void> | void;
};

/** Runs the schedule of each seed; those with S3 come last, on a system of their own. */
export async function runSeeds(seeds: readonly number[], options: SeedOptions): Promise<void> {
  const all = seeds.map((seed) => withoutKinds(scheduleOf(seed), options.without));
  const schedules = Map.groupBy(all, ({ storage }) => storage);
  for (const storage of ['directory', 's3'] as const) {
    const queue = [...(schedules.get(storage) ?? [])];
    const lanes = Array.from({ length: Math.min(options.jobs, queue.length) }, () => drain(queue, options));
    await Promise.all(lanes);
  }
}

async function drain(queue: Schedule[], options: SeedOptions): Promise<void> {
  while (queue.length > 0 && !options.signal.aborted) await runOnOneFleet(queue, options);
}

/** Until the queue is empty, the fleet is old, or a schedule failed: what that left behind must not fail others. */
async function runOnOneFleet(queue: Schedule[], { folder, report, signal }: SeedOptions): Promise<void> {
  const first = queue[0];
  if (first === undefined) return;
  await using fleet = await Fleet.start(first.storage);
  for (let done = 0; done < SCHEDULES_PER_FLEET; done += 1) {
    const schedule = signal.aborted ? undefined : queue.shift();
    if (schedule === undefined) return;
    const run = new Run(fleet, schedule, `s${schedule.seed}-${randomBytes(3).toString('hex')}-`);
    const outcome = await run.finish();
    await report(outcome);
    if (outcome.violations.length === 0) continue;
    await keepEvidence(join(folder, `seed-${schedule.seed}`), fleet, { schedule, outcome, evidence: run.evidence });
    return;
  }
}
