import { runService } from '@spillway/runtime';
import { readWorkerConfig, runWorker } from '@spillway/worker';

await runService('drafter', process.env, (life) =>
  runWorker('drafter', readWorkerConfig(process.env, 'drafter'), life),
);
