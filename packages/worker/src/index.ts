export { readWorkerConfig, type WorkerConfig } from './config.ts';
export { runWorker } from './run-worker.ts';
