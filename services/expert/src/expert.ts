import { callMeter, openTier } from '@spillway/models';
import { runTierWorkers } from '@spillway/redis';
import type { Life, WorkerConfig } from '@spillway/runtime';
import { answer } from './answer.ts';

/** Runs an expert: a worker for every model that is one, or those it was told. */
export async function runExpert(config: WorkerConfig, life: Life): Promise<void> {
  await runTierWorkers('expert', { config, life }, ({ board, witness }, model) => {
    const tier = openTier(model, {
      role: 'expert',
      propagates: witness.propagates,
      onCall: callMeter(life.telemetry.meters),
    });
    life.defer(() => tier[Symbol.asyncDispose]());
    const desk = { board, witness, tier };
    return (job, attempt) => answer(desk, job, attempt);
  });
}
