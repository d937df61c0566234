import { runService } from '@spillway/runtime';
import { readWorkerConfig, runWorker } from '@spillway/worker';

await runService('expert', process.env, (life) => runWorker('expert', readWorkerConfig(process.env, 'expert'), life));
