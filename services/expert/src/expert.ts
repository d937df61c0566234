import { openTier } from '@spillway/models';
import { runTierWorkers } from '@spillway/redis';
import type { Life, WorkerConfig } from '@spillway/runtime';
import { answer } from './answer.ts';

/** Runs an expert: a worker for every model that is one, or those it was told. */
export async function runExpert(config: WorkerConfig, life: Life): Promise<void> {
  await runTierWorkers('expert', { config, life }, ({ board }, model) => {
    const tier = openTier(model, { logprobs: false });
    life.defer(() => tier[Symbol.asyncDispose]());
    const desk = { board, tier };
    return (job, attempt) => answer(desk, job, attempt);
  });
}
