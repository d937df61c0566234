import { readWorkerConfig, type Env, type WorkerConfig } from '@spillway/runtime';

/** Reads the expert's environment; throws one SetupError with all its problems. */
export const readConfig = (env: Env): WorkerConfig => readWorkerConfig(env, 'expert');
