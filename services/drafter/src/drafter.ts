import { callMeter, openTier } from '@spillway/models';
import { runTierWorkers } from '@spillway/redis';
import type { Life, WorkerConfig } from '@spillway/runtime';
import { draft } from './draft.ts';

/** Runs a drafter: a worker for every model that drafts, or those it was told. */
export async function runDrafter(config: WorkerConfig, life: Life): Promise<void> {
  await runTierWorkers('draft', { config, life }, (shared, model) => {
    const tier = openTier(model, {
      role: 'draft',
      propagates: shared.witness.propagates,
      onCall: callMeter(life.telemetry.meters),
      onNotice: (notice) => life.log.warn(notice, 'every document will escalate'),
    });
    life.defer(() => tier[Symbol.asyncDispose]());
    const desk = { ...shared, tier };
    return (job, attempt) => draft(desk, job, attempt);
  });
}
